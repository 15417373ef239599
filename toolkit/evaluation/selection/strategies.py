"""Strategies that choose rows of a pool to label.

    uncertain  the rows whose prediction is least certain
    diverse    the most typical row of each of as many clusters as rows are wanted (TypiClust)
    hybrid     uncertain rows that differ from each other: of the most uncertain ones, the centres of weighted clusters
    random     rows drawn without regard to the model

Vectors are features of the model; distances are those of vectors of length 1, so that the angle counts.

Sources: Zhdanov 2019, "Diverse mini-batch Active Learning" (hybrid); Hacohen, Dekel and Weinshall 2022, "Active
Learning on a Budget: Opposite Strategies Suit High and Low Budgets" (diverse, and why uncertainty fails while labels
are few).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.data.tables.columns import AT_RANDOM

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

HYBRID, UNCERTAIN, DIVERSE, RANDOM = "uncertainty-diverse", "uncertainty", "diverse", AT_RANDOM
STRATEGIES = (HYBRID, UNCERTAIN, DIVERSE, RANDOM)
UNCERTAIN_PER_ROW = 10  # uncertain rows among which the hybrid strategy chooses one; the β of its source
NEIGHBOURS = 20  # by which a row is typical, as in the source
MOST_CLUSTERS = 500  # as in the source; of more rows each cluster gives several
FEW_PER_CLASS = 10  # labelled rows of each class on average, below which uncertainty is not used
_ROUNDS = 20  # of k-means
_BLOCK = 1024


@dataclass(frozen=True)
class Choice:
    """A chosen row of the pool.

    Attributes:
        row: Its number in the pool.
        strategy: The one that chose it.
    """

    row: int
    strategy: str


def settled(strategy: str | None, labelled: int | None, classes: int, *, uncertain: bool) -> tuple[str, str | None]:
    """Return the strategy to use, and why where it is not the hybrid one by default.

    Args:
        strategy: The one that the user named; None for the default.
        labelled: Rows that the model was trained on; None where that is not known.
        classes: Number of classes; 0 for numbers.
        uncertain: Whether the model has probabilities.
    """
    if strategy is not None:
        return strategy, None
    if not uncertain:
        return DIVERSE, "the model predicts without probabilities"
    if labelled is not None and labelled < FEW_PER_CLASS * max(classes, 1):
        return DIVERSE, (
            f"{labelled:,} training rows are fewer than {FEW_PER_CLASS} for each of {classes} classes: so early the "
            "model's uncertainty says little (Hacohen et al. 2022)"
        )
    return HYBRID, None


def choose(
    vectors: Any, uncertainty: Any | None, rows: int, strategy: str, *, random_share: float, seed: int
) -> list[Choice]:
    """Choose rows of a pool: a share of them at random, the others by a strategy.

    The random rows are drawn first, from the whole pool, so that they are a random sample of it.

    Args:
        vectors: Shape (N, D).
        uncertainty: The higher, the less certain; None where there is none. Shape (N,).
        rows: How many are wanted; all where there are fewer.
        strategy: One of `STRATEGIES`.
        random_share: Of the rows, drawn at random.
        seed: Of the draw and of the clusters.

    Returns:
        The rows by the strategy, the first choice first, then the random ones.
    """
    generator = np.random.default_rng([seed, 7])
    wanted = min(rows, len(vectors))
    drawn = wanted if strategy == RANDOM else math.ceil(random_share * wanted)
    at_random = generator.permutation(len(vectors))[:drawn]
    rest = np.setdiff1d(np.arange(len(vectors)), at_random)
    count = wanted - drawn
    if not count:
        chosen: Integers = np.zeros(0, np.int64)
    elif strategy == DIVERSE:
        chosen = typical(unit(vectors)[rest], count, generator)
    else:
        if uncertainty is None:
            raise ValueError("there is no uncertainty")
        doubts = np.asarray(uncertainty, np.float64)[rest]
        chosen = (
            most_uncertain(doubts, count)
            if strategy == UNCERTAIN
            else uncertain_and_diverse(unit(vectors)[rest], doubts, count, generator)
        )
    return [Choice(int(rest[place]), strategy) for place in chosen] + [Choice(int(row), RANDOM) for row in at_random]


def unit(vectors: Any) -> Floats:
    """Return vectors around their mean, of length 1; those of length 0 are unchanged."""
    values = np.asarray(vectors, np.float64)
    values = values - values.mean(axis=0)  # a common direction would make all angles small
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    scaled: Floats = values / np.where(lengths > 0, lengths, 1.0)
    return scaled


def most_uncertain(uncertainty: Floats, count: int) -> Integers:
    """Return the places of the most uncertain rows, the most uncertain first; of equal ones the first."""
    return np.argsort(-uncertainty, kind="stable")[:count]


def uncertain_and_diverse(vectors: Floats, uncertainty: Floats, count: int, generator: np.random.Generator) -> Integers:
    """Return the places of uncertain rows that differ from each other, the most uncertain first.

    The most uncertain rows, several for each that is wanted, are clustered with their uncertainty as weight; of each
    cluster the row next to its centre is taken.
    """
    candidates = most_uncertain(uncertainty, UNCERTAIN_PER_ROW * count)
    if len(candidates) <= count:
        return candidates
    weights = np.maximum(uncertainty[candidates], 1e-9)
    some = vectors[candidates]
    centres, members = clusters(some, count, generator, weights)
    nearest = _next_to(some, centres, members)
    taken = np.union1d(nearest, _spare(nearest, len(candidates), count))
    return candidates[np.sort(taken)]


def typical(vectors: Floats, count: int, generator: np.random.Generator) -> Integers:
    """Return the places of typical rows: of the largest clusters the row that is nearest to its neighbours.

    With more rows than clusters, each cluster gives its next typical row in turn.
    """
    number = min(count, MOST_CLUSTERS)
    _, members = clusters(vectors, number, generator)
    distance = _to_neighbours(vectors)
    sizes = np.bincount(members, minlength=number)
    order = np.lexsort((distance, members))
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    turn = np.empty(len(vectors), np.int64)
    turn[order] = np.arange(len(vectors)) - np.repeat(begins, sizes)  # 0 for the most typical row of its cluster
    return np.lexsort((distance, -sizes[members], turn))[:count]


def clusters(
    vectors: Floats, count: int, generator: np.random.Generator, weights: Floats | None = None
) -> tuple[Floats, Integers]:
    """Cluster rows by k-means, from centres that k-means++ draws (Arthur and Vassilvitskii 2007).

    Args:
        vectors: Shape (N, D), N at least `count`.
        count: Of clusters.
        generator: Draws the first centres.
        weights: Of the rows; equal when None. Shape (N,).

    Returns:
        The centres (count, D) and the cluster of each row (N,).
    """
    from scipy.sparse import csr_matrix

    weights = np.ones(len(vectors)) if weights is None else weights
    centres = vectors[_seeds(vectors, weights, count, generator)]
    members = _nearest(vectors, centres)
    for _ in range(_ROUNDS):
        inside = csr_matrix((weights, (members, np.arange(len(vectors)))), (count, len(vectors)))
        sums = inside @ vectors
        totals = np.bincount(members, weights, minlength=count)
        full = totals > 0
        centres = np.where(full[:, None], sums / np.where(full, totals, 1.0)[:, None], centres)
        moved = _nearest(vectors, centres)
        if (moved == members).all():
            break
        members = moved
    return centres, members


def _seeds(vectors: Floats, weights: Floats, count: int, generator: np.random.Generator) -> Integers:
    """Draw rows as centres, each with the probability of its weighted squared distance to the nearest earlier one."""
    seeds = np.zeros(count, np.int64)
    seeds[0] = generator.choice(len(vectors), p=weights / weights.sum())
    squares = (vectors**2).sum(axis=1)
    distances = np.full(len(vectors), np.inf)
    for number in range(1, count):
        last = seeds[number - 1]
        distances = np.minimum(distances, np.maximum(squares - 2 * vectors @ vectors[last] + squares[last], 0.0))
        distances[last] = 0.0
        chances = weights * distances
        total = chances.sum()
        left = np.setdiff1d(np.arange(len(vectors)), seeds[:number]) if total <= 0 else None
        seeds[number] = (
            generator.choice(left) if left is not None else generator.choice(len(vectors), p=chances / total)
        )
    return seeds


def _nearest(vectors: Floats, centres: Floats) -> Integers:
    squares = (centres**2).sum(axis=1)
    parts = [
        (squares - 2 * vectors[start : start + _BLOCK] @ centres.T).argmin(axis=1)
        for start in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(parts).astype(np.int64)


def _next_to(vectors: Floats, centres: Floats, members: Integers) -> Integers:
    """Return the row next to the centre of each cluster that has rows."""
    distance = ((vectors - centres[members]) ** 2).sum(axis=1)
    order = np.lexsort((distance, members))
    first = np.unique(members[order], return_index=True)[1]
    return order[first]


def _spare(taken: Integers, of: int, count: int) -> Integers:
    """Return the first places that are not taken, as many as are wanting where clusters are empty."""
    return np.setdiff1d(np.arange(of), taken)[: count - len(taken)]


def _to_neighbours(vectors: Floats) -> Floats:
    """Return the mean distance of each row to its nearest neighbours; its inverse is how typical the row is."""
    neighbours = min(NEIGHBOURS, len(vectors) - 1)
    if neighbours < 1:
        return np.zeros(len(vectors))
    squares = (vectors**2).sum(axis=1)
    means: list[Any] = []
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        distances = np.maximum(squares[start : start + _BLOCK, None] - 2 * block @ vectors.T + squares, 0.0)
        nearest = np.partition(distances, neighbours, axis=1)[:, : neighbours + 1]  # the row itself among them
        means.append(np.sqrt(nearest).sum(axis=1) / neighbours)
    return np.concatenate(means)


def counts(choices: Sequence[Choice]) -> dict[str, int]:
    """Return how many rows each strategy chose."""
    return {name: number for name in STRATEGIES if (number := sum(choice.strategy == name for choice in choices))}
