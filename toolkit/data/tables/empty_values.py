"""Leave out the rows whose value in a column is empty, and note how many and where."""

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.tables import columns, wording
from toolkit.errors import DataError
from toolkit.tasks.task import Checked, Column


def leave_out(
    parts: Mapping[str, pa.Table], column: Column, is_full: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> Checked:
    """Return the rows whose value is not empty; all rows where the column may be missing.

    Args:
        parts: Part → rows in the recipe's roles.
        column: The column.
        is_full: Values → whether each is present and not empty.

    Raises:
        DataError: Most rows are empty.
    """
    if not column.required:
        return Checked(parts, {}, _optional(parts, column, is_full))
    kept, dropped, total, first = {}, 0, 0, None
    for part, rows in parts.items():
        if column.role not in rows.column_names:
            kept[part] = rows
            continue
        full = is_full(rows[column.role])
        kept[part] = rows.filter(full)
        total += rows.num_rows
        lost = rows.num_rows - kept[part].num_rows
        if lost and first is None:
            empty = rows.filter(pc.invert(full)).slice(0, 1).to_pylist()[0]
            first = f"{empty.get('_file')}, row {empty.get('_row')}"
        dropped += lost
    if dropped > total / 2:
        raise DataError(
            f"{dropped:,} of {total:,} rows have an empty {column.role} (first: {first}).",
            f"Is it the right column? Select another with {columns.flag(column.role)}.",
            id="data.empty-column",
        )
    if not dropped:
        return Checked(kept)
    many, were = wording.rows(dropped)
    note = f"{many} with an empty {column.role} {were} left out (first: {first})."
    return Checked(kept, {f"empty_{column.role}": dropped}, [note])


def _optional(
    parts: Mapping[str, pa.Table], column: Column, is_full: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> list[str]:
    """Note that some rows have no value in an optional column, where others have one."""
    full = [is_full(rows[column.role]) for rows in parts.values() if column.role in rows.column_names]
    total, present = sum(map(len, full)), sum(int(pc.sum(values).as_py() or 0) for values in full)
    if not 0 < present < total:
        return []
    return [f"{total - present:,} of {total:,} rows have an empty {column.role}; they are kept without one."]


def has_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whether each string holds more than white space."""
    return pc.fill_null(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0), False)


def has_items(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whether each list holds something."""
    return pc.fill_null(pc.greater(pc.list_value_length(values), 0), False)
