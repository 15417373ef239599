"""Columns that say which row it is, and nothing of what is in it: identifiers, and the index that pandas writes."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

POSITION = ("_file", "_row")  # position of each row in the user's files
_NAME = re.compile(r"(?i)^$|^unnamed|^(level_\d+|__index_level_\d+__|index)$|(^|[^a-z])(uu)?id$|(?-i:[a-z]I[Dd]$)")
_LEAST = 3  # rows that show that a column counts


def by_name(name: str) -> bool:
    """Whether a column's name is that of an identifier or an index."""
    return _NAME.search(name.strip()) is not None


def is_index(rows: pa.Table, name: str) -> bool:
    """Whether a column numbers the rows of the user's file, as an index does, by its name or its values.

    Values do where they are all different, and grow with the position in the file, by no more than it does: between two
    rows there are as many others, or fewer where these have several lines.

    Args:
        rows: Any rows of the data, with their positions.
        name: Of the column.
    """
    if name.startswith("__index_level_"):  # of a table that was shuffled before it was written
        return True
    values = rows[name]
    if not pa.types.is_integer(values.type) or values.null_count or not set(POSITION) <= set(rows.column_names):
        return False
    if len(rows) < _LEAST:
        return False
    files = pc.rank(rows[POSITION[0]].cast(pa.string()), tiebreaker="dense").to_numpy()
    numbers, places = values.to_numpy().astype(np.float64), rows[POSITION[1]].to_numpy()
    order = np.lexsort([places, files])
    same = np.diff(files[order]) == 0
    steps, lines = np.diff(numbers[order])[same], np.diff(places[order])[same]
    return bool(len(steps)) and bool(np.all((steps > 0) & (steps <= lines)))
