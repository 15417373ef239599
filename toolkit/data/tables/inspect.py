"""Statistics of a table before training."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.batching.batch import Ragged, encode
from toolkit.data.division import split as split_
from toolkit.data.load import Table
from toolkit.tasks.task import Column, Task


@dataclass(frozen=True)
class Part:
    """Statistics of one part of a data set.

    Attributes:
        name: "train", "validation", "test" or "all".
        rows: Usable rows.
        classes: Class → labels of it; empty for a task without classes.
        summary: What the target says of its values: name → text.
        repeated: Rows whose text or picture stands in an earlier row.
        contradictory: Rows whose text or picture stands elsewhere with another label.
        lengths: Tokens of each example before anything is cut, words where no tokenizer was at hand, or pixels along
            the shorter side.
        sizes: Name and text of the spread of these lengths.
        examples: Class → the inputs of its first row.
    """

    name: str
    rows: int
    classes: Mapping[str, int]
    summary: Mapping[str, str]
    repeated: int
    contradictory: int
    lengths: np.ndarray[Any, np.dtype[np.int64]]
    sizes: tuple[str, str]
    examples: Mapping[str, str] = field(default_factory=dict)

    def cut_at(self, longest: int) -> int:
        """Return how many examples are longer than `longest`."""
        return int((self.lengths > longest).sum())


def inspect(table: Table, columns: Sequence[Column], lengths_of: Any | None, unit: str = "words") -> list[Part]:
    """Describe each part of a loaded table.

    Args:
        table: From `load_table`.
        columns: The recipe's.
        lengths_of: A recipe's preprocessing without a length limit, or None to measure values themselves.
        unit: What lengths are counted in.
    """
    task = Task(tuple(columns))
    return [_part(name, rows, table.labels, task, lengths_of, unit) for name, rows in table.parts.items()]


def _part(name: str, rows: pa.Table, labels: Sequence[str], task: Task, lengths_of: Any | None, unit: str) -> Part:
    present, inputs = task.present(rows), task.inputs_in(rows)
    target = task.target.role if task.target.role in present else None
    keys = split_.row_keys(rows, task.identifying_in(rows))
    if lengths_of is not None:
        encoded = encode(rows.select(present), lengths_of)
        ragged = [column.lengths for column in encoded.columns.values() if isinstance(column, Ragged)]
        lengths = np.maximum.reduce(ragged) if ragged else encoded.lengths  # of several texts the longest
    else:
        lengths = np.array(
            [
                sum(column.kind.length(row[column.role]) for column in task.inputs if column.role in row)
                for batch in rows.select(inputs).to_batches(max_chunksize=10_000)
                for row in batch.to_pylist()
            ],
            np.int64,
        )
    classes: dict[str, int] = {}
    examples: dict[str, str] = {}
    summary: Mapping[str, str] = {}
    contradictory = 0
    if target is not None:
        summary = task.target.kind.summary(rows[target], labels)
    if target is not None and task.labelled is not None:
        truth = [value if isinstance(value, list) else [value] for value in rows[target].to_pylist()]
        counted = Counter(chain.from_iterable(truth))
        classes = {label: counted[number] for number, label in enumerate(labels)}
        contradictory = _contradictory(keys, truth)
        first = {number: row for row in reversed(range(len(truth))) for number in truth[row]}
        examples = {label: _shown(rows, first[n], task) for n, label in enumerate(labels) if n in first}
    sizes = task.inputs[0].kind.sizes(lengths, unit)
    repeated = len(keys) - len(np.unique(keys))
    return Part(name, rows.num_rows, classes, summary, repeated, contradictory, lengths, sizes, examples)


def _shown(rows: pa.Table, place: int, task: Task) -> str:
    """Return the inputs of a row as one text, several set apart."""
    there = (column for column in task.inputs if column.role in rows.column_names)
    return " ⏎ ".join(column.kind.shown(rows[column.role][place].as_py()) for column in there)


def _contradictory(keys: np.ndarray[Any, Any], truth: Sequence[Sequence[int]]) -> int:
    """Count the rows whose input occurs with more than one label, or list of labels."""
    rows = list(zip(keys.tolist(), map(tuple, truth), strict=True))
    labels_of = Counter(key for key, _ in set(rows))
    return sum(labels_of[key] > 1 for key, _ in rows)
