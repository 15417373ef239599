"""Whether the first line of a table names its columns, or is a row like the others."""

import re
from collections.abc import Sequence

import pyarrow as pa

_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*")
_LOOKED_AT = 1000  # rows, and columns
_WORDS = 5  # that a name has at most


def looks_like_data(names: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Whether names are values like those below them.

    They are when one is a number over numbers, a value of its own column, or as long as a sentence; and never when one
    is no number and stands over numbers alone.

    Args:
        names: The first line.
        rows: Some of the rows below it.
    """
    if len(names) > _LOOKED_AT:
        return False
    rows = [row for row in rows[:_LOOKED_AT] if list(row) != list(names)]  # files that were joined repeat their header
    votes = False
    for place, name in enumerate(names):
        values = [str(row[place]) for row in rows if row[place] not in (None, "")]
        numbers = bool(values) and all(map(_NUMBER.fullmatch, values))
        number = _NUMBER.fullmatch(name) is not None
        if numbers and not number:
            return False
        votes = votes or (numbers and number) or name in values or len(name.split()) > _WORDS
    return votes


def of_table(table: pa.Table) -> bool:
    """Whether the names of a table's columns are values like those below them; of texts alone, as CSV has them."""
    if table.num_columns > _LOOKED_AT or not all(pa.types.is_string(kind) for kind in table.schema.types):
        return False
    columns = [column.to_pylist() for column in table.slice(0, _LOOKED_AT).columns]
    return looks_like_data(table.column_names, list(zip(*columns, strict=True)))
