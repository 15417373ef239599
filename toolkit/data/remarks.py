"""Sentences on the rows of a division."""

from collections import Counter
from collections.abc import Collection, Mapping

import pyarrow as pa

from toolkit.data.tables.columns import SELECTED_BY

_LOOKED_AT = 200  # rows
_WORDS = 3  # that half of the values of a column of texts have at least


def of_selection(parts: Mapping[str, pa.Table]) -> list[str]:
    """Say how rows of each part were chosen to be labelled, where the data say so."""
    notes = []
    for part, rows in parts.items():
        if SELECTED_BY not in rows.column_names:
            continue
        chosen = Counter(str(value) for value in rows[SELECTED_BY].to_pylist() if value)
        if chosen:
            of_each = ", ".join(f"{number:,} by {name}" for name, number in chosen.most_common())
            notes.append(f"Rows of {part} that were chosen to be labelled: {of_each}; {rows.num_rows:,} rows in all.")
    return notes


def of_duplicates(counts: Mapping[str, int], *, removed: bool) -> list[str]:
    """Say which training and validation rows occur twice, and what became of them."""
    notes = []
    fate = "were removed from" if removed else "were left in"
    if counts["train_in_held_out"]:
        notes.append(f"{counts['train_in_held_out']:,} training rows that also occur in a held-out part {fate} train.")
    if counts["validation_in_test"]:
        notes.append(f"{counts['validation_in_test']:,} validation rows that also occur in test {fate} validation.")
    if counts["repeated_in_train"]:
        notes.append(f"{counts['repeated_in_train']:,} training rows duplicate another training row.")
    return notes


def of_unused_texts(rows: pa.Table, used: Collection[str], wanted: Collection[str]) -> list[str]:
    """Name the columns that hold texts as well, where a column of texts was chosen by its name.

    Args:
        rows: As they were read.
        used: Columns that have a role.
        wanted: Those that the user named, which leave no doubt.
    """
    holding = [name for name in rows.column_names if name[:1] != "_" and _holds_texts(rows[name])]
    texts = [name for name in holding if name not in used]
    if not texts or not set(holding) & set(used) or set(holding) & set(wanted):
        return []
    listed = ", ".join(f"`{name}`" for name in texts)
    if len(texts) == 1:
        return [f"{listed} also holds texts, and is not used; --text-column chooses the column."]
    return [f"{listed} also hold texts, and are not used; --text-column chooses the column."]


def _holds_texts(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return False
    values = [value for value in column.slice(0, _LOOKED_AT).to_pylist() if value and not value.isspace()]
    long = sum(len(value[:1000].split()) >= _WORDS for value in values)
    return len(set(values)) > len(values) / 2 and long > len(values) / 2
