"""A column of 0 and 1 for each class, folded into one column of lists of labels."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from toolkit.config.settings import DataConfig
from toolkit.data.tables import columns as columns_
from toolkit.data.tables import identifiers
from toolkit.errors import DataError
from toolkit.tasks.contract import Recipe

_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}
_LEAST = 2  # columns that make classes


def fold(
    parts: Mapping[str, pa.Table], recipe: Recipe, config: DataConfig, role: str
) -> tuple[Mapping[str, pa.Table], list[str]]:
    """Return tables in which a column of lists, named like the role, replaces columns of 0 and 1; and their names.

    The columns are those that the user names, with commas between, for the label; without that, all columns of 0 and 1
    beside the inputs, where `data.target` is classes and no column is named like a label.

    Raises:
        DataError: A named column is missing, or holds other values.
    """
    named = config.columns.get(role, "")
    first = next(iter(parts.values()))
    if "," in named and named not in first.column_names:
        names = [name.strip() for name in named.split(",") if name.strip()]
        return {part: _folded(rows, names, role) for part, rows in parts.items()}, names
    if config.target is None or named:
        return parts, []
    if any(name in first.column_names for name in recipe.task.target.names):
        return parts, []
    taken = set(columns_.find(first.column_names, recipe.task.inputs, {}).values())
    free = [name for name in first.column_names if name not in taken and name not in columns_.POSITION]
    free = [name for name in free if not identifiers.by_name(name)]
    names = [name for name in free if all(_is_binary(rows, name) for rows in parts.values())]
    if len(names) < _LEAST:
        return parts, []
    return {part: _folded(rows, names, role) for part, rows in parts.items()}, names


def _is_binary(rows: pa.Table, name: str) -> bool:
    if name not in rows.column_names or pa.types.is_nested(rows[name].type):
        return False
    values = {_written(value) for value in rows[name].unique().slice(0, 5).to_pylist()} - {""}
    return bool(values) and values <= _YES | _NO


def _written(value: object) -> str:
    return "" if value is None else str(value).strip().lower()


def _folded(rows: pa.Table, names: Sequence[str], role: str) -> pa.Table:
    matrix = np.zeros((rows.num_rows, len(names)), bool)
    for place, name in enumerate(names):
        if name not in rows.column_names:
            raise DataError(
                f"The table has no column `{name}`, which is named as a class; it has "
                f"{', '.join(name for name in rows.column_names if name not in columns_.POSITION)}.",
                "Name columns of 0 and 1, with commas between.",
                id="data.column-missing",
            )
        written = [_written(value) for value in rows[name].to_pylist()]
        wrong = next((row for row, value in enumerate(written) if value and value not in _YES | _NO), None)
        if wrong is not None:
            raise DataError(
                f"The column `{name}` holds `{written[wrong][:40]}`, and columns of classes hold 0 or 1.",
                f"Name other columns with {columns_.flag(role)}.",
                id="label.not-binary",
            )
        matrix[:, place] = [value in _YES for value in written]
    lists = [[name for name, there in zip(names, row, strict=True) if there] for row in matrix]
    kept = rows.drop_columns([name for name in names if name in rows.column_names])
    return kept.append_column(role, pa.array(lists, pa.list_(pa.string())))
