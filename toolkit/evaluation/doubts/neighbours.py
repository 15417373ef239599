"""Training rows whose near-duplicate has another label, and rows that are far from all others."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.evaluation.doubts.doubt import DUPLICATE, OUTLIER, Doubt
from toolkit.evaluation.duplicates.near_duplicates import Pair
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.tasks.kinds import Likeness

NEAREST = 10  # the distance of a row is that to its tenth nearest neighbour
FAR = 1.5  # times the usual distance, from which a row may be an outlier
SHARE, MOST = 0.01, 50  # of the rows that are listed as outliers at most
_COMPARED = 20_000  # rows among which neighbours are searched
_BLOCK = 512

Vectors = np.ndarray[Any, np.dtype[np.floating[Any]]]


def contradictions(
    rows: pa.Table, roles: Sequence[str], likeness: Likeness, values: Sequence[Any], apart: float | None = None
) -> list[Doubt] | None:
    """Return the rows that are near-duplicates of a row with another label, the most similar first.

    Rows of different labels differ in a binary digit of their labels' numbers. So the two sides of each digit are
    searched for near-duplicates of one another, which finds the most similar row of another label in as many searches
    as the number of labels has digits, twice.

    Args:
        rows: The training rows.
        roles: The inputs that are compared.
        likeness: Of their kind.
        values: The label of each row; it may be a list.
        apart: By how much numbers must differ to contradict each other; None where labels are not numbers.

    Returns:
        The doubts, whose suggestions are the others' labels; None where the search takes too long.
    """
    keys = [tuple(value) if isinstance(value, list) else value for value in values]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    codes: Integers = np.array([numbers[key] for key in keys], np.int64)
    best: dict[int, Pair] = {}
    for digit in range(max(1, math.ceil(math.log2(max(2, len(numbers)))))):
        side = (codes >> digit) & 1
        first, second = np.flatnonzero(side == 0), np.flatnonzero(side == 1)
        for ours, theirs in ((first, second), (second, first)):
            if not len(ours) or not len(theirs):
                continue
            others = likeness.summary(rows.take(pa.array(theirs)), roles)
            pairs = likeness.find(others, rows.take(pa.array(ours)), roles)
            if pairs is None:
                return None
            for pair in pairs:
                row, other = int(ours[pair.test]), int(theirs[pair.train])
                if row not in best or pair.similarity > best[row].similarity:
                    best[row] = Pair(row, other, pair.similarity)
    found = sorted(best.values(), key=lambda pair: (-pair.similarity, pair.test))
    if apart is not None:
        found = [pair for pair in found if abs(values[pair.test] - values[pair.train]) > apart]
    return [Doubt(pair.test, (DUPLICATE,), pair.similarity, values[pair.train], pair.train) for pair in found]


def outliers(vectors: Vectors, seed: int) -> list[Doubt]:
    """Return the rows that are far from all others, the farthest first: a ranking, not a claim.

    The distance of a row is that to its tenth nearest neighbour, in standardised features, over the median of all rows'
    (Ramaswamy, Rastogi and Shim 2000, "Efficient Algorithms for Mining Outliers from Large Data Sets").

    Args:
        vectors: What the backbone makes of each row. Shape (N, D).
        seed: Decides among which rows neighbours are searched where there are very many.
    """
    if len(vectors) <= 2 * NEAREST:
        return []
    scaled = (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-6)
    others = scaled
    if len(scaled) > _COMPARED:
        others = scaled[np.sort(np.random.default_rng([seed, 7]).choice(len(scaled), _COMPARED, replace=False))]
    lengths, squares = (scaled**2).sum(axis=1), (others**2).sum(axis=1)
    nearest = np.concatenate(
        [
            np.partition(lengths[k : k + _BLOCK, None] + squares - 2 * scaled[k : k + _BLOCK] @ others.T, NEAREST)[
                :, NEAREST
            ]  # itself is the nearest
            for k in range(0, len(scaled), _BLOCK)
        ]
    )
    distances = np.sqrt(np.maximum(nearest, 0.0))
    usual = float(np.median(distances))
    if usual <= 0:
        return []
    order = np.argsort(-distances, kind="stable")[: min(MOST, max(1, int(SHARE * len(vectors))))]
    return [
        Doubt(int(row), (OUTLIER,), float(distances[row] / usual)) for row in order if distances[row] >= FAR * usual
    ]
