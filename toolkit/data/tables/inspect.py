"""Statistics of a table before training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.batching.batch import Ragged, encode
from toolkit.data.images import image_columns
from toolkit.data.load import Table
from toolkit.data.tables import labels as labels_
from toolkit.data.tables import split as split_
from toolkit.tasks.task import Column, Task


@dataclass(frozen=True)
class Part:
    """Statistics of one part of a data set.

    Attributes:
        name: "train", "validation", "test" or "all".
        rows: Usable rows.
        classes: Class → labels of it; empty for a task without classes.
        repeated: Rows whose text or picture occurs in an earlier row.
        contradictory: Rows whose text or picture also occurs with another label.
        lengths: Tokens of each example before anything is cut, words without a tokenizer, or pixels along
            the shorter side.
        examples: Class → the first text of it.
    """

    name: str
    rows: int
    classes: Mapping[str, int]
    repeated: int
    contradictory: int
    lengths: np.ndarray[Any, np.dtype[np.int64]]
    examples: Mapping[str, str] = field(default_factory=dict)

    def cut_at(self, longest: int) -> int:
        """Return how many examples are longer than `longest`."""
        return int((self.lengths > longest).sum())


def inspect(table: Table, columns: Sequence[Column], lengths_of: Any | None) -> list[Part]:
    """Describe each part of a loaded table.

    Args:
        table: From `load_table`.
        columns: The recipe's.
        lengths_of: A recipe's preprocessing without a length limit, or None to count words.
    """
    return [_part(name, rows, table.labels, columns, lengths_of) for name, rows in table.parts.items()]


def _part(name: str, rows: pa.Table, labels: Sequence[str], columns: Sequence[Column], lengths_of: Any | None) -> Part:
    task = Task(tuple(columns))
    present, inputs = task.present(rows), task.inputs_in(rows)
    target = task.target.role if task.target.kind.classes and task.target.role in present else None
    keys = split_.row_keys(rows, inputs)
    if lengths_of is not None:
        encoded = encode(rows.select(present), lengths_of)
        ragged = [column.lengths for column in encoded.columns.values() if isinstance(column, Ragged)]
        lengths = np.maximum.reduce(ragged) if ragged else encoded.lengths  # of several texts the longest
    else:
        lengths = np.array(
            [
                sum(column.kind.length(row[column.role]) for column in task.inputs if column.role in row)
                for row in rows.select(inputs).to_pylist()
            ],
            np.int64,
        )
    classes: dict[str, int] = {}
    examples: dict[str, str] = {}
    contradictory = 0
    if target is not None:
        numbers = labels_.values(rows[target]).to_numpy()
        counted = np.bincount(numbers, minlength=len(labels))
        classes = {label: int(count) for label, count in zip(labels, counted, strict=True)}
        if len(numbers) == len(keys):
            contradictory = _contradictory(keys, numbers)
            first = {label: int(np.argmax(numbers == i)) for i, label in enumerate(labels) if counted[i]}
            examples = {label: _shown(rows[inputs[0]][row].as_py()) for label, row in first.items()}
    return Part(name, rows.num_rows, classes, len(keys) - len(np.unique(keys)), contradictory, lengths, examples)


def _shown(value: Any) -> str:
    return image_columns.name(value) if isinstance(value, dict) else str(value)


def _contradictory(keys: np.ndarray[Any, Any], numbers: np.ndarray[Any, Any]) -> int:
    """Count the rows whose text occurs with more than one label."""
    texts, inverse = np.unique(keys, return_inverse=True)
    lowest, highest = np.full(len(texts), np.iinfo(np.int64).max), np.full(len(texts), -1)
    np.minimum.at(lowest, inverse, numbers)
    np.maximum.at(highest, inverse, numbers)
    return int((lowest != highest)[inverse].sum())
