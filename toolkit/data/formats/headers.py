"""Whether the first line of a table names its columns, or is a row like the others."""

import re
from collections.abc import Sequence

import pyarrow as pa

_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*")
_MOST_INSPECTED = 1000  # rows, and columns
_WORDS = 5  # that a name has at most
TEXT, LABEL = "text", "label"


def looks_like_data(names: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Whether names are values like those below them.

    They are when one is a number over numbers, a value of its own column, or as long as a sentence; and never when one
    is not a number above a column of numbers.

    Args:
        names: The first line.
        rows: Some of the rows below it.
    """
    if len(names) > _MOST_INSPECTED:
        return False
    rows = [row for row in rows[:_MOST_INSPECTED] if list(row) != list(names)]  # concatenated files repeat their header
    votes = False
    for place, name in enumerate(names):
        values = [str(row[place]) for row in rows if row[place] not in (None, "")]
        numbers = bool(values) and all(map(_NUMBER.fullmatch, values))
        number = _NUMBER.fullmatch(name) is not None
        if numbers and not number:
            return False
        votes = votes or (numbers and number) or name in values or len(name.split()) > _WORDS
    return votes


def likely_names(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return probable names of the columns where the header looks like data; else nothing.

    The longest is the text; the label is the one with the fewest values, two at least, that occur in many rows.

    Args:
        names: The first line.
        rows: Some of the rows below it.
    """
    if not looks_like_data(names, rows):
        return []
    columns = list(zip(names, *rows[:_MOST_INSPECTED], strict=True))
    likely = [f"column_{place}" for place in range(1, len(columns) + 1)]
    lengths = [sum(len(str(value)) for value in column) for column in columns]
    longest = lengths.index(max(lengths))
    different = {place: len(set(column)) for place, column in enumerate(columns) if place != longest}
    few = {place: count for place, count in different.items() if 2 <= count <= len(columns[0]) / 2}
    likely[longest] = TEXT
    if few:
        likely[min(few, key=lambda place: few[place])] = LABEL
    return likely


def of_table(table: pa.Table) -> list[str]:
    """Return `likely_names` of a table of texts alone, as CSV has them; else nothing."""
    if table.num_columns > _MOST_INSPECTED or not all(pa.types.is_string(kind) for kind in table.schema.types):
        return []
    columns = [column.to_pylist() for column in table.slice(0, _MOST_INSPECTED).columns]
    return likely_names(table.column_names, list(zip(*columns, strict=True)))
