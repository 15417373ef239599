"""A batch of new rows: a sample of a file in bounded memory, as the model's recipe reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.commands.predict.input_rows import assign_columns, no_rows, read_rows, root_of, sampled
from toolkit.commands.predict.predictor import Predictor
from toolkit.data.sources import row_stream
from toolkit.data.sources.local_files import in_utf8
from toolkit.data.tables.columns import POSITION
from toolkit.errors import DataError
from toolkit.inference.model import StoredModel


@dataclass(frozen=True)
class Batch:
    """New rows.

    Attributes:
        rows: A sample of them, as the recipe reads them, with their places in the file.
        read: Number of rows in the file.
        unreadable: Number of rows of the sample that cannot be predicted.
    """

    rows: pa.Table
    read: int
    unreadable: int


def read_batch(source: str, values: Mapping[str, Any], stored: StoredModel, most: int, seed: int) -> Batch:
    """Read a file from the first row to the last, and keep a random sample of its rows.

    Args:
        source: The file, or "-" for standard input.
        values: Nested configuration values that say how it is read.
        stored: The model.
        most: Rows of the sample.
        seed: Of the sample.

    Raises:
        CallError: The file cannot be read, or lacks a column.
    """
    row_stream.check_input(source)
    config = stored.config
    inputs = stored.recipe.task.named_inputs(config.options)
    sample, read = sampled(read_rows(source, values, config, inputs), most, seed)
    if not sample:
        raise no_rows(source)
    rows = [row for _, row in sample]
    roles = assign_columns(source, rows, inputs, config.data.columns, values)
    table, good, _ = Predictor(stored, inputs, roles, None, all_scores=False, root=root_of(source)).table(rows)
    if not good:
        problem = next((row.problem for row in rows if row.problem), None)
        raise DataError(
            f"No row of {source} can be read{f': {problem}' if problem else '.'}",
            "Check its columns and its encoding (--set data.encoding=…).",
            id="watch.too-few-rows",
        )
    extra = {
        POSITION[0]: pa.array([in_utf8(Path(source).name)] * len(good)),
        POSITION[1]: pa.array([sample[n][0] for n in good]),
    }
    group = config.data.group_column
    if group is not None and group not in table.column_names and any(group in rows[n].values for n in good):
        extra[group] = pa.array([_text(rows[n].value(group)) for n in good], pa.string())
    for name, column in extra.items():
        table = table.append_column(name, column)
    return Batch(table, read, len(rows) - len(good))


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
