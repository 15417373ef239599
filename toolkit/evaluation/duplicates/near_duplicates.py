"""Test texts that are near-duplicates of training texts.

Texts are compared by the five-letter pieces that both have, without regard to case and punctuation. Pieces count by
how rare they are (logarithm of the inverse share of rows that have them; Spärck Jones 1972, "A statistical
interpretation of term specificity"). Similarity is the weight of the common pieces over the geometric mean of the
weights of both texts (Ochiai): a copy shares the rare words of the original, and two texts of one form ("transitional
package for …") do not. Pieces that many rows have are left out: they weigh little and would cost most of the time. So
a copy is found after another word was put into a short text, or after it was cut.

A run keeps the hashes of the pieces of its training rows. Of much text only a share of all pieces is kept, the same
ones of each text, by which similarities stay unbiased (Broder 1997, "On the resemblance and containment of documents").

Of pairs of texts each text has to be as similar: pairs that share a long passage differ in the other text.
"""

import itertools
import operator
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.evaluation import scores
from toolkit.tasks.task import Column

THRESHOLD = 0.6  # similarity from which two texts are near-duplicates
PIECE = 5  # letters
FREQUENT, LEAST_FREQUENT = 0.01, 50  # pieces in more rows than this share, and than this number, are left out
MOST_PIECES = 2**24  # of the training rows that a run keeps; 64 MiB
MOST_PRODUCTS = 10**9  # about 20 seconds; of more, the most frequent pieces are left out
SHOWN = 20
LONGEST = 1000  # letters of a text that are kept
_COMPARABLE = 4  # bytes: one piece
_BLOCK = 2**23  # pairs of rows at a time
_SAMPLED = b"one piece in"  # entry in the schema: of how many pieces one is kept

Hashes = np.ndarray[Any, np.dtype[np.uint32]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

_POWERS = np.array([pow(0x9E3779B97F4A7C15, k, 2**64) for k in range(1, PIECE + 1)], np.uint64)


@dataclass(frozen=True)
class Pair:
    """A test row and the training row that it repeats.

    Attributes:
        test: Row number in the test rows.
        train: Row number in the training rows.
        similarity: From 0 to 1; of several texts the smallest.
    """

    test: int
    train: int
    similarity: float


def pieces(text: str) -> Hashes:
    """Return the hashes of a text's different five-letter pieces; ignoring case, punctuation and white space."""
    plain = " ".join(re.findall(r"\w+", text.casefold()))
    letters = np.frombuffer(plain.ljust(PIECE).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(letters, PIECE)
    mixed = (windows * _POWERS).sum(axis=1, dtype=np.uint64)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def summary(rows: pa.Table, roles: Sequence[str], sampled: int = 1) -> pa.Table:
    """Return the pieces of each row's texts: what a run keeps of its training rows to compare others with them.

    Args:
        rows: Texts, or lists of words.
        roles: Their columns.
        sampled: One piece in so many is kept at least; a power of two.

    Returns:
        A list of hashes for each of the columns.
    """
    parts: list[list[Hashes]] = [[] for _ in roles]
    held = 0
    for example in texts(rows, roles):
        for part, text in zip(parts, example, strict=True):
            part.append(_sample(pieces(text), sampled))
            held += len(part[-1])
        while held > MOST_PIECES:
            sampled *= 2
            parts = [[_sample(hashes, sampled) for hashes in part] for part in parts]
            held = sum(len(hashes) for part in parts for hashes in part)
    columns = [pa.array(part, pa.list_(pa.uint32())) for part in parts]
    return pa.table(columns, list(roles)).replace_schema_metadata({_SAMPLED: str(sampled)})


def _sample(hashes: Hashes, sampled: int) -> Hashes:
    return hashes if sampled == 1 else hashes[hashes % sampled == 0]


def find(train: pa.Table, test: pa.Table, roles: Sequence[str]) -> list[Pair]:
    """Return for each test example the most similar training example, where one is a near-duplicate.

    Args:
        train: The summary of the rows that were learned from.
        test: Held-out rows.
        roles: The columns of their texts.
    """
    if not train.num_rows or not test.num_rows:
        return []
    learned = train.select(list(roles)).combine_chunks()
    held = summary(test, roles, int((train.schema.metadata or {}).get(_SAMPLED, b"1")))
    columns = [_Weighted.of(learned[role], held[role]) for role in roles]
    best: dict[int, Pair] = {}
    size = max(1, _BLOCK // train.num_rows)
    for start in range(0, test.num_rows, size):
        rows, numbers = _candidates(columns, start, start + size)
        similarity = np.min([column.similarities(rows, numbers) for column in columns], axis=0)
        near = np.flatnonzero(similarity >= THRESHOLD)
        order = near[np.lexsort((-numbers[near], similarity[near]))]  # the most similar last, of these the first row
        best |= {int(rows[k]): Pair(int(rows[k]), int(numbers[k]), min(1.0, float(similarity[k]))) for k in order}
    return sorted((best | _same(learned, held)).values(), key=lambda pair: (-pair.similarity, pair.test))


def _same(learned: pa.Table, held: pa.Table) -> dict[int, Pair]:
    """Return the pairs with the same pieces, even if all of them are frequent."""
    keys: list[list[bytes]] = []
    for table in (learned, held):
        columns = [_rows(_values(table[role]), _ends(table[role])) for role in table.column_names]
        keys.append([b"\0".join(row) for row in zip(*columns, strict=True)])
    first = {key: row for row, key in reversed(list(enumerate(keys[0]))) if len(key) >= _COMPARABLE}
    return {row: Pair(row, first[key], 1.0) for row, key in enumerate(keys[1]) if key in first}


@dataclass(frozen=True)
class _Weighted:
    """The pieces of one column of texts that are rare enough, as sparse matrices of rows × pieces.

    Attributes:
        train: Whether a training row has a piece.
        test: The piece's weight where a test row has it.
        weights: Of each training row's pieces together.
        test_weights: Of each test row's pieces together.
    """

    train: Any
    test: Any
    weights: Floats
    test_weights: Floats

    @classmethod
    def of(cls, train: pa.ChunkedArray, test: pa.ChunkedArray) -> "_Weighted":
        """Weigh the pieces of training rows and test rows, which are lists of hashes."""
        from scipy.sparse import csr_matrix

        ends = [_ends(lists) for lists in (train, test)]
        hashes = [_values(lists) for lists in (train, test)]
        vocabulary, places = np.unique(np.concatenate(hashes), return_inverse=True)
        columns = np.split(places.astype(np.int64), [len(hashes[0])])
        different = [_first_of_each(*both) for both in zip(hashes, ends, strict=True)]
        counts = [
            np.bincount(column[np.repeat(first, np.diff(end))], minlength=len(vocabulary))
            for column, first, end in zip(columns, different, ends, strict=True)
        ]
        frequency, rows = counts[0] + counts[1], sum(int(first.sum()) for first in different)
        weights = np.log((rows + 1) / frequency.clip(1))
        weights[frequency > max(LEAST_FREQUENT, FREQUENT * rows)] = 0
        products = np.bincount(columns[0], minlength=len(vocabulary)) * np.bincount(
            columns[1], minlength=len(vocabulary)
        )
        rarest = np.argsort(frequency, kind="stable")
        weights[rarest[np.cumsum(np.where(weights > 0, products, 0)[rarest]) > MOST_PRODUCTS]] = 0
        matrices = []
        for column, end in zip(columns, ends, strict=True):
            shape = (len(end) - 1, len(vocabulary))
            matrix = csr_matrix((weights[column], column, end), shape)
            matrix.eliminate_zeros()
            matrices.append(matrix)
        totals = [np.asarray(matrix.sum(axis=1), np.float64).ravel() for matrix in matrices]
        matrices[0].data[:] = 1
        return cls(matrices[0], matrices[1], *totals)

    def similarities(self, rows: Any, numbers: Any) -> Floats:
        """Return the similarity of test rows to training rows, pair by pair; 1 where neither has a rare piece."""
        common = np.concatenate(
            [
                np.asarray(
                    self.test[rows[k : k + 4096]].multiply(self.train[numbers[k : k + 4096]]).sum(axis=1)
                ).ravel()
                for k in range(0, len(rows), 4096)
            ]
            or [np.empty(0)]
        )
        return _similarity(common, self.test_weights[rows], self.weights[numbers])


def _candidates(columns: Sequence[_Weighted], start: int, end: int) -> tuple[Any, Any]:
    """Return the test rows and training rows, pair by pair, whose texts taken together are similar enough."""
    pairs = reduce(operator.add, (column.test[start:end] @ column.train.T for column in columns)).tocoo()
    weights = np.sum([column.weights for column in columns], axis=0)
    test_weights = np.sum([column.test_weights for column in columns], axis=0)
    rows = pairs.row + start
    near = _similarity(pairs.data, test_weights[rows], weights[pairs.col]) >= THRESHOLD
    return rows[near], pairs.col[near]


def _similarity(common: Floats, first: Floats, second: Floats) -> Floats:
    """Return common weights over the geometric mean of both; 1 where neither text has any."""
    both = np.sqrt(first * second)
    similarity = np.divide(common, both, out=np.zeros(len(common)), where=both > 0)
    similarity[(first == 0) & (second == 0)] = 1
    return similarity


def _ends(lists: pa.ChunkedArray) -> Any:
    """Return where each list begins in the values of all, and where the last one ends."""
    return np.concatenate([[0], np.asarray(lists.combine_chunks().value_lengths()).cumsum()])


def _values(lists: pa.ChunkedArray) -> Hashes:
    return np.asarray(lists.combine_chunks().flatten(), np.uint32)


def _rows(hashes: Hashes, ends: Any) -> Iterator[bytes]:
    """Yield the hashes of each row."""
    return (hashes[start:end].tobytes() for start, end in itertools.pairwise(ends))


def _first_of_each(hashes: Hashes, ends: Any) -> Any:
    """Return which rows have no earlier row with the same pieces: copies within a part make a piece no less rare."""
    seen: set[bytes] = set()
    first = np.zeros(len(ends) - 1, bool)
    for row, key in enumerate(_rows(hashes, ends)):
        first[row] = key not in seen
        seen.add(key)
    return first


def describe(
    pairs: Sequence[Pair],
    train: pa.Table,
    inputs: Sequence[Column],
    target: Column,
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """Return each test row that repeats a training row, with that row, as a run directory keeps it.

    Args:
        pairs: From `find`, or `near_pictures.find`.
        train: Rows that were learned from.
        inputs: Columns that make up an example.
        target: The column that is predicted.
        labels: Names of the classes.

    Returns:
        For each pair {"position": row number in test, "similarity", "train": {"file", "row", "text", "label"}}, and of
        those that a page shows also the "picture", where there is one.
    """
    matched = train.take(pa.array([pair.train for pair in pairs], pa.int64())).to_pylist() if pairs else []
    return [
        {
            "position": pair.test,
            "similarity": pair.similarity,
            "train": sample(row, inputs, target, labels, drawn=place < SHOWN),
        }
        for place, (pair, row) in enumerate(zip(pairs, matched, strict=True))
    ]


def texts(rows: pa.Table, inputs: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the texts of each row of a table of texts, or of lists of words; empty where a value is missing."""
    for batch in rows.select(list(inputs)).to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            yield tuple(" ".join(value) if isinstance(value, list) else value or "" for value in row.values())


def sample(
    row: dict[str, Any], inputs: Sequence[Column], target: Column, labels: Sequence[str], *, drawn: bool
) -> dict[str, Any]:
    """Return a row as the report shows it; with a small copy of its picture where it is `drawn`."""
    return {
        "file": row.get("_file"),
        "row": row.get("_row"),
        "text": scores.shown_text(row, inputs)[:LONGEST],
        "label": target.kind.shown(row[target.role], labels),
        **(scores.thumbnail(row, inputs) if drawn else {}),
    }
