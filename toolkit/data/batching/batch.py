"""Model inputs in compact memory, and the plan of which examples share a batch."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.media import columns as media_columns

CHUNK = 2000  # rows that are handed to a recipe at a time
FILES = 256  # of them where a row holds a picture or a recording

Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Ragged:
    """Rows of numbers, or of vectors, of different lengths, end to end.

    Attributes:
        values: All of them: integers (total,), as of tokens; or fractions (total, …), as of recordings.
        offsets: Row i is values[offsets[i]:offsets[i + 1]]. Shape (rows + 1,).
    """

    values: np.ndarray[Any, Any]
    offsets: Integers

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray[Any, Any]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @classmethod
    def of(cls, rows: Sequence[np.ndarray[Any, Any]]) -> "Ragged":
        """Join arrays that differ in their first axis alone; at least one."""
        return cls(np.concatenate(rows), np.cumsum([0, *map(len, rows)]))

    def take(self, rows: Integers) -> "Ragged":
        """Return these rows, in this order."""
        return Ragged.of([self[int(row)] for row in rows])

    @property
    def lengths(self) -> Integers:
        """Length of each row. Shape (rows,)."""
        return np.diff(self.offsets)


Columns = Mapping[str, Ragged | np.ndarray[Any, Any]]  # name → one entry a row


@dataclass(frozen=True)
class Features:
    """Model inputs of a whole split.

    Attributes:
        columns: Name → one entry a row: a `Ragged` or an array of numbers.
        lengths: What an example costs, in tokens. Shape (rows,).
        truncated: How many examples were cut to fit.
        cut: Of examples of several texts, in how many each text was cut; empty for others.
    """

    columns: Columns
    lengths: Integers
    truncated: int = 0
    cut: tuple[int, ...] = ()

    @property
    def has_lengths(self) -> bool:
        """Whether examples have lengths at all: pictures of one size have none."""
        return any(isinstance(column, Ragged) for column in self.columns.values())

    @property
    def input_lengths(self) -> Integers:
        """Length of each example's first input of varying length, without labels; ones where there is none."""
        inputs = (c for name, c in self.columns.items() if name != "labels" and isinstance(c, Ragged))
        first = next(inputs, None)
        return np.ones(len(self), np.int64) if first is None else first.lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: column[row] for name, column in self.columns.items()}

    def without(self, name: str) -> "Features":
        """Return the examples without one of their columns."""
        return replace(self, columns={n: column for n, column in self.columns.items() if n != name})

    def take(self, rows: Integers) -> "Features":
        """Return these rows, in this order."""
        chosen = {n: c.take(rows) if isinstance(c, Ragged) else c[rows] for n, c in self.columns.items()}
        return Features(chosen, self.lengths[rows])


def encode(
    rows: pa.Table, preprocess: Callable[[dict[str, list[Any]]], dict[str, Any]], chunk: int = CHUNK
) -> Features:
    """Run a recipe's preprocessing over a table, chunk by chunk, into compact memory.

    Args:
        rows: The split.
        preprocess: Takes columns of raw values, returns columns of numbers, lists of integers, lists of as many
            fractions each, a `Ragged`, or an array with a row for each example. A column "truncated" says which
            examples were cut, or which texts of each; it is counted and does not reach the model.
        chunk: Rows handed over at a time.
    """
    return join(encode_chunks(rows, preprocess, chunk))


def encode_chunks(
    rows: pa.Table, preprocess: Callable[[dict[str, list[Any]]], dict[str, Any]], chunk: int = CHUNK
) -> Iterator[Columns]:
    """Yield what `encode` joins, one chunk of rows at a time; "truncated" is among the columns."""
    if any(media_columns.is_type(field.type) for field in rows.schema):
        chunk = min(chunk, FILES)
    for batch in rows.to_batches(max_chunksize=chunk):
        yield {name: _compact(values) for name, values in preprocess(batch.to_pydict()).items()}


def join(chunks: Iterable[Columns]) -> Features:
    """Join chunks of rows from `encode_chunks` in memory."""
    pieces: dict[str, list[Any]] = {}
    for chunk in chunks:
        for name, values in chunk.items():
            pieces.setdefault(name, []).append(values)
    truncated = count_truncated(pieces.pop("truncated", []))
    return assemble({name: _join(parts) for name, parts in pieces.items()}, truncated)


def count_truncated(parts: Iterable[Any]) -> list[int]:
    """Count the examples that were cut, and of examples of several texts in how many each was.

    Args:
        parts: Chunks of a column "truncated", each of shape (N,) or (N, texts).
    """
    counts = np.zeros(1, np.int64)
    for part in map(np.asarray, parts):
        rows = part if part.ndim == 1 else np.column_stack([part.any(axis=1), part])
        counts = counts + rows.reshape(len(rows), -1).sum(axis=0)
    return [int(count) for count in counts]


def assemble(columns: Columns, truncated: Sequence[int]) -> Features:
    """Return whole columns as the features of a split; `truncated` is of `count_truncated`.

    The first ragged column determines an example's cost; together with the labels, where these are texts.
    """
    ragged = [column.lengths for column in columns.values() if isinstance(column, Ragged)]
    rows = len(next(iter(columns.values()), ()))
    lengths = ragged[0] if ragged else np.ones(rows, np.int64)
    labels = columns.get("labels")
    if isinstance(labels, Ragged) and not np.array_equal(labels.lengths, lengths):
        lengths = lengths + labels.lengths
    return Features(columns, lengths, truncated[0], tuple(truncated[1:]))


def _compact(values: Sequence[Any] | Ragged) -> Ragged | np.ndarray[Any, Any]:
    if isinstance(values, np.ndarray | Ragged):
        return values
    if len(values) and isinstance(values[0], Sequence | np.ndarray):
        if len(values[0]) and np.asarray(values[0]).dtype.kind == "f":
            return np.asarray(values, np.float32)  # a vector for each row
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in values])]).astype(np.int64)
        flat = np.fromiter(chain.from_iterable(values), np.int32, count=int(offsets[-1]))
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
    """Stack examples into tensors: rows of integers padded to the longest, arrays and single numbers as they are.

    Args:
        features: Examples with the same keys.
        padding: Name → value that fills the shorter rows; 0 when absent.

    Returns:
        Name → tensor, (B, T) for padded rows, (B, …) for arrays or (B,) for numbers; where there are "input_ids" also
        "attention_mask" (B, T).
    """
    import torch

    batch: dict[str, Any] = {}
    for name in features[0]:
        values = [feature[name] for feature in features]
        array = isinstance(values[0], np.ndarray)
        if array and (values[0].ndim > 1 or (values[0].ndim and values[0].dtype.kind == "f")):
            batch[name] = torch.from_numpy(np.stack(values))
        elif array and values[0].ndim:
            longest = max(map(len, values))
            filled = np.full((len(values), longest), padding.get(name, 0), np.int64)
            for row, value in zip(filled, values, strict=True):
                row[: len(value)] = value
            batch[name] = torch.from_numpy(filled)
        else:
            numbers = np.asarray(values)
            batch[name] = torch.as_tensor(numbers.astype(np.float32) if numbers.dtype.kind == "f" else numbers)
    if "input_ids" in batch and "attention_mask" not in batch:
        lengths = torch.tensor([len(feature["input_ids"]) for feature in features])
        batch["attention_mask"] = (torch.arange(batch["input_ids"].shape[1]) < lengths[:, None]).long()
    return batch


def collate(features: Sequence[Mapping[str, Any]], processor: Any) -> dict[str, Any]:
    """Stack examples, tokens and labels padded to the longest; labels with -100, which the loss passes over."""
    return pad(features, {"input_ids": getattr(processor, "pad_token_id", None) or 0, "labels": -100})


def plan_epoch(lengths: Integers, batch_size: int, *, seed: int, epoch: int) -> list[Integers]:
    """Assign examples to the optimizer steps of an epoch.

    Examples of similar length share a batch, so that little is padded: the order is random, windows of many batches are
    sorted by length and cut, and the batches are shuffled. It depends on nothing but the arguments, so a run
    that is resumed knows its position without reading anything twice.

    Args:
        lengths: Cost of each example. Shape (rows,).
        batch_size: Examples in a step; the last step of an epoch may have fewer.
        seed: Of the run.
        epoch: Counted from 0.

    Returns:
        Row numbers of each step; every row is in exactly one of them.
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


def split_step(indices: Integers, lengths: Integers, examples: int, tokens: int | None) -> list[Integers]:
    """Cut a step into micro-batches, each filled up to a number of examples and of tokens.

    Args:
        indices: Row numbers of the step.
        lengths: Cost of each example of the split, in tokens. Shape (rows,).
        examples: Examples that a micro-batch may have.
        tokens: Tokens that it may have; a longer example forms a batch of its own. None sets no limit.

    Returns:
        Row numbers of each micro-batch, in the order of `indices`.
    """
    if tokens is None:
        return np.array_split(indices, range(examples, len(indices), examples))
    cuts, count, filled = [], 0, 0
    for place, length in enumerate(lengths[indices].tolist()):
        if count and (count == examples or filled + length > tokens):
            cuts.append(place)
            count = filled = 0
        count += 1
        filled += length
    return np.array_split(indices, cuts)


def plan_evaluation(lengths: Integers, batch_size: int) -> list[Integers]:
    """Return batches that cover all rows once, longest first, each of like lengths."""
    order = np.argsort(-lengths, kind="stable")
    return np.array_split(order, range(batch_size, len(order), batch_size)) if len(order) else []


def probe(
    features: Features, collate: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]], examples: int = 6
) -> dict[str, Any]:
    """Return a batch of a few examples, from the shortest to one of medium length, to test a model on."""
    order = np.argsort(features.lengths, kind="stable")
    places = np.linspace(0, len(order) // 2, min(examples, len(order))).astype(int)
    return collate([features[int(order[place])] for place in np.unique(places)])
