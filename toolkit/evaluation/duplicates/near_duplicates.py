"""Test texts that are near-duplicates of training texts.

Texts are compared by the overlap of their five-letter pieces (Jaccard). MinHash signatures find the pairs worth
comparing (Broder 1997, "On the resemblance and containment of documents"; banding after Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", section 3.4), so that the work grows with the number of rows and not with its square.

Of pairs of texts each text has to be as similar: pairs that share a long passage differ in the other text.

One sparse product of all test rows with all training rows finds the same pairs, in 14.0 s and 300 MiB where this takes
9.2 s and 40 MiB (50,000 short reviews, 15 % of them test rows; one thread). `datasketch` took 2.1 s for 5,000 of them
where this took 0.8 s, and would be one dependency more.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.evaluation import scores
from toolkit.tasks.task import Column

THRESHOLD = 0.7  # overlap from which two texts are near-duplicates
PIECE = 5  # letters
BANDS, HASHES = 16, 4  # a pair at the threshold becomes a candidate with probability 0.99
SHOWN = 20
MOST_COMPARED = 300_000  # rows; more would take minutes
LONGEST = 1000  # letters of a text that are kept

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

_random = np.random.default_rng(20231009)  # constant: signatures must not depend on a run's seed
_FACTORS = _random.integers(1, 2**63, BANDS * HASHES, dtype=np.uint64) * 2 + 1
_OFFSETS = _random.integers(0, 2**63, BANDS * HASHES, dtype=np.uint64)
_POWERS = np.array([pow(0x9E3779B97F4A7C15, k, 2**64) for k in range(1, PIECE + 1)], np.uint64)


@dataclass(frozen=True)
class Pair:
    """A test row and the training row that it repeats.

    Attributes:
        test: Row number in the test rows.
        train: Row number in the training rows.
        similarity: Share of their pieces that both have; of several texts the smallest.
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
    return np.unique(mixed * np.uint64(0xBF58476D1CE4E5B9))


def _bands(hashes: Hashes) -> Iterator[tuple[int, bytes]]:
    """Yield the bands of a text's MinHash signature."""
    signature = (hashes[:, None] * _FACTORS + _OFFSETS).min(axis=0)
    for band in range(BANDS):
        yield band, signature[band * HASHES : (band + 1) * HASHES].tobytes()


def find(train: Iterable[Sequence[str]], test: Sequence[Sequence[str]]) -> list[Pair]:
    """Return for each test example the most similar training example, where one is a near-duplicate.

    Args:
        train: Texts of each example that was learned from; read once.
        test: Texts of each held-out example, which are kept in memory.
    """
    from scipy.sparse import csr_matrix

    held = [pieces(" ".join(example)) for example in test]
    if not held:
        return []
    index: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for row, hashes in enumerate(held):
        for band in _bands(hashes):
            index[band].append(row)
    sizes = np.array([len(hashes) for hashes in held])
    vocabulary, columns = np.unique(np.concatenate(held), return_inverse=True)
    ends = np.concatenate([[0], sizes.cumsum()])
    # which text has which piece: one product counts the overlap of a text with all its candidates (rows × pieces)
    table = csr_matrix((np.ones(len(columns), np.int32), columns, ends), (len(held), len(vocabulary)))
    present = np.zeros(len(vocabulary), np.int32)
    best: dict[int, Pair] = {}
    for number, example in enumerate(train):
        hashes = pieces(" ".join(example))
        candidates = sorted(set(chain.from_iterable(index.get(band, ()) for band in _bands(hashes))))
        if not candidates:
            continue
        places = np.searchsorted(vocabulary, hashes).clip(max=len(vocabulary) - 1)
        known = places[vocabulary[places] == hashes]
        present[known] = 1
        common = table[candidates] @ present  # (candidates,)
        present[known] = 0
        similarities = common / (sizes[candidates] + len(hashes) - common)
        for place in np.flatnonzero(similarities >= THRESHOLD):
            row, similarity = candidates[place], float(similarities[place])
            if len(example) > 1:
                similarity = min(_overlap(*both) for both in zip(example, test[row], strict=True))
                if similarity < THRESHOLD:
                    continue
            if row not in best or similarity > best[row].similarity:
                best[row] = Pair(row, number, similarity)
    return sorted(best.values(), key=lambda pair: (-pair.similarity, pair.test))


def _overlap(text: str, other: str) -> float:
    """Return the share of the pieces of two texts that both have."""
    first, second = pieces(text), pieces(other)
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)


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
