"""Model inputs in compact memory, and the plan of which examples meet in which batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Ragged:
    """Rows of integers of different lengths, end to end.

    Attributes:
        values: All integers. Shape (total,).
        offsets: Row i is values[offsets[i]:offsets[i + 1]]. Shape (rows + 1,).
    """

    values: np.ndarray[Any, np.dtype[np.int32]]
    offsets: Integers

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray[Any, np.dtype[np.int32]]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Integers:
        """Length of each row. Shape (rows,)."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Features:
    """Model inputs of a whole split.

    Attributes:
        columns: Name → one entry a row: a `Ragged` of integers or an array of numbers.
        lengths: What an example costs, in tokens. Shape (rows,).
        truncated: How many examples were cut to fit.
    """

    columns: Mapping[str, Ragged | np.ndarray[Any, Any]]
    lengths: Integers
    truncated: int = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: column[row] for name, column in self.columns.items()}


def encode(
    rows: pa.Table, preprocess: Callable[[dict[str, list[Any]]], dict[str, list[Any]]], chunk: int = 2000
) -> Features:
    """Run a recipe's preprocessing over a table, chunk by chunk, into compact memory.

    Args:
        rows: The split.
        preprocess: Takes columns of raw values, returns columns of integers or lists of integers. A column
            "truncated" says which examples were cut; it is counted and does not reach the model.
        chunk: Rows handed over at a time.
    """
    pieces: dict[str, list[Any]] = {}
    for batch in rows.to_batches(max_chunksize=chunk):
        for name, values in preprocess(batch.to_pydict()).items():
            pieces.setdefault(name, []).append(_compact(values))
    truncated = sum(int(part.sum()) for part in pieces.pop("truncated", []))
    columns = {name: _join(parts) for name, parts in pieces.items()}
    ragged = [column.lengths for column in columns.values() if isinstance(column, Ragged)]
    lengths = ragged[0] if ragged else np.ones(rows.num_rows, np.int64)
    return Features(columns, lengths, truncated)


def _compact(values: Sequence[Any]) -> Ragged | np.ndarray[Any, Any]:
    if len(values) and isinstance(values[0], Sequence | np.ndarray):
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in values])]).astype(np.int64)
        flat = np.fromiter((v for row in values for v in row), np.int32, count=int(offsets[-1]))
        return Ragged(flat, offsets)
    return np.asarray(values)


def _join(parts: Sequence[Any]) -> Ragged | np.ndarray[Any, Any]:
    if not isinstance(parts[0], Ragged):
        return np.concatenate(parts)
    starts = np.cumsum([0, *(len(part.values) for part in parts)])
    offsets = [
        parts[0].offsets,
        *(part.offsets[1:] + start for part, start in zip(parts[1:], starts[1:-1], strict=True)),
    ]
    return Ragged(np.concatenate([part.values for part in parts]), np.concatenate(offsets))


def pad(features: Sequence[Mapping[str, Any]], padding: Mapping[str, int]) -> dict[str, Any]:
    """Stack examples into tensors: rows of integers padded to the longest, single numbers as they are.

    Args:
        features: Examples with the same keys.
        padding: Name → value that fills the shorter rows; 0 when absent.

    Returns:
        Name → tensor, (B, T) for padded rows or (B,) for numbers; where there are "input_ids" also
        "attention_mask" (B, T).
    """
    import torch

    batch: dict[str, Any] = {}
    for name in features[0]:
        values = [feature[name] for feature in features]
        if isinstance(values[0], np.ndarray) and values[0].ndim:
            longest = max(map(len, values))
            filled = np.full((len(values), longest), padding.get(name, 0), np.int64)
            for row, value in zip(filled, values, strict=True):
                row[: len(value)] = value
            batch[name] = torch.from_numpy(filled)
        else:
            batch[name] = torch.as_tensor(np.asarray(values))
    if "input_ids" in batch and "attention_mask" not in batch:
        lengths = torch.tensor([len(feature["input_ids"]) for feature in features])
        batch["attention_mask"] = (torch.arange(batch["input_ids"].shape[1]) < lengths[:, None]).long()
    return batch


def plan_epoch(lengths: Integers, batch_size: int, *, seed: int, epoch: int) -> list[Integers]:
    """Decide which examples meet in which optimizer step of an epoch.

    Examples of like length meet, so that little is padded: the order is random, windows of many batches are
    sorted by length and cut, and the batches are shuffled. It depends on nothing but the arguments, so a run
    that is taken up again knows its place without reading anything twice.

    Args:
        lengths: Cost of each example. Shape (rows,).
        batch_size: Examples in a step; the last step of an epoch may have fewer.
        seed: Of the run.
        epoch: Counted from 0.

    Returns:
        Row numbers of each step; every row stands in exactly one of them.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    window = 64 * batch_size
    ordered = np.concatenate(
        [
            part[np.argsort(-lengths[part], kind="stable")]
            for part in np.array_split(order, range(window, len(order), window))
        ]
    )
    steps = np.array_split(ordered, range(batch_size, len(ordered), batch_size))
    return [steps[i] for i in random.permutation(len(steps))]


def plan_evaluation(lengths: Integers, batch_size: int) -> list[Integers]:
    """Return batches that cover all rows once, longest first, each of like lengths."""
    order = np.argsort(-lengths, kind="stable")
    return np.array_split(order, range(batch_size, len(order), batch_size)) if len(order) else []
