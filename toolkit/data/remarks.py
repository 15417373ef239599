"""Sentences on the rows of a division."""

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from toolkit.data.tables.columns import SELECTED_BY


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
