"""Whether some of many groups of rows have more mistakes than chance explains."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.clusters import Floats, Integers, count, flips

SHUFFLES = 1000


@dataclass(frozen=True)
class Tested:
    """How likely such bad groups are by chance.

    Attributes:
        p_values: Of each group, adjusted for all of them.
        chance: Of the worst group in each shuffle its one-sided p-value, unadjusted, ascending. Shape (shuffles,).
    """

    p_values: list[float]
    chance: Floats

    def level(self, error: float) -> float:
        """Return the confidence of a single group's interval at which those of all groups hold jointly.

        The upper end leaves out the unadjusted p-value that shuffles reach with the probability `error`.
        """
        if not len(self.chance):
            return 1 - error
        return 1 - 2 * float(self.chance[max(0, int(error * (1 + len(self.chance))) - 1)])


def adjusted(
    wrong: np.ndarray[Any, Any], groups: Sequence[Integers], seed: int, sentences: Integers | None = None
) -> Tested:
    """Return for each group the probability that shuffled mistakes make some group at least as bad.

    A group is measured by the hypergeometric probability of so many mistakes or more among so many examples, which puts
    small and large groups on one scale; the smallest over all groups is compared with that of shuffled mistakes
    (Westfall and Young 1993, "Resampling-Based Multiple Testing", the single-step minP method). The chance of any false
    alarm is then at most the significance level, however the groups overlap.

    Args:
        wrong: Whether each prediction is wrong. Shape (N,).
        groups: Row numbers of the members of each, ascending.
        seed: Of the shuffles.
        sentences: Number of the sentence of each example, an entity; the mistakes in a sentence depend on each other,
            so sentences with as many entities exchange all of theirs. Shape (N,). None where examples are rows.
    """
    if not groups or not wrong.any():
        return Tested([1.0] * len(groups), np.zeros(0))
    sizes = np.array([len(members) for members in groups])
    matrix = _membership(groups, np.ones(len(wrong), np.float32))
    random = np.random.default_rng(seed)
    shuffle = random.permutation if sentences is None else _of_sentences(sentences, random)
    shuffled = np.stack([shuffle(wrong) for _ in range(SHUFFLES)], axis=1).astype(np.float32)  # (N, B)
    counts = np.rint(matrix @ shuffled).astype(np.int64)  # (S, B)
    observed = np.rint(matrix @ wrong.astype(np.float32)).astype(np.int64)  # (S,)
    luck = np.ones(SHUFFLES)
    own = np.ones(len(groups))
    for size, table in _tails(np.unique(sizes), int(wrong.sum()), len(wrong)).items():
        rows = np.flatnonzero(sizes == size)
        luck = np.minimum(luck, table[counts[rows]].min(axis=0))
        own[rows] = table[observed[rows]]
    luck.sort()
    as_small = np.searchsorted(luck, own * (1 + 1e-9), side="right")
    return Tested([float(p) for p in (1 + as_small) / (1 + SHUFFLES)], luck)


def flipped(wrong: np.ndarray[Any, Any], groups: Sequence[Integers], seed: int, clusters: Integers) -> Tested:
    """Return for each group the probability of a group at least as bad if all groups were equally good.

    A group is measured by its mistakes beyond its share of all mistakes, a sum over clusters, divided by the root of
    the sum of squares; the largest over all groups is compared with those under flipped signs of clusters (Hemerik,
    Goeman and Finos 2020, "Robust Testing in Generalized Linear Models by Sign Flipping Score Contributions"; Westfall
    and Young 1993 for the maximum). A group in a handful of clusters cannot be significant.

    Args:
        wrong: Whether each prediction is wrong. Shape (N,).
        groups: Row numbers of the members of each, ascending.
        seed: Of the signs.
        clusters: Number of each example's cluster. Shape (N,).
    """
    from scipy.sparse import csr_matrix
    from scipy.stats import norm

    if not groups or not wrong.any():
        return Tested([1.0] * len(groups), np.zeros(0))
    excess, number = wrong - wrong.mean(), count(clusters)
    owner = csr_matrix((np.ones(len(wrong)), clusters, np.arange(len(wrong) + 1)), shape=(len(wrong), number))
    own = (_membership(groups, excess) @ owner).tocsr()  # (S, G): excess mistakes of each group in each cluster
    of_all = np.bincount(clusters, excess)  # (G,)
    shares = np.array([len(members) for members in groups]) / len(wrong)
    squares = np.asarray(own.multiply(own).sum(axis=1)).ravel() - 2 * shares * (own @ of_all)
    scale = np.sqrt(np.maximum(squares + shares**2 * (of_all @ of_all), 1e-12))
    observed = np.asarray(own.sum(axis=1)).ravel() / scale  # all mistakes together have no excess
    signs = flips(number, SHUFFLES, seed).T  # (G, B)
    worst = ((own @ signs - shares[:, None] * (of_all @ signs)) / scale[:, None]).max(axis=0)
    worst.sort()
    as_large = SHUFFLES - np.searchsorted(worst, observed - 1e-9, side="left")
    chance = norm.sf(worst[::-1])
    return Tested([float(p) for p in (1 + as_large) / (1 + SHUFFLES)], chance)


def _membership(groups: Sequence[Integers], values: np.ndarray[Any, Any]) -> Any:
    """Return a sparse matrix with the values of the members of each group. (N,) → (S, N)."""
    from scipy.sparse import csr_matrix

    members = np.concatenate(groups)
    starts = np.concatenate([[0], np.cumsum([len(members) for members in groups])])
    return csr_matrix((values[members], members, starts), shape=(len(groups), len(values)))


def _of_sentences(sentences: Integers, random: np.random.Generator) -> Callable[[Any], Any]:
    """Return a function that shuffles values (N,) by exchanging sentences of the same size."""
    order = np.argsort(sentences, kind="stable")
    _, starts, counts = np.unique(sentences[order], return_index=True, return_counts=True)
    blocks = [
        order[starts[counts == size][:, None] + np.arange(size)]  # (sentences of this size, size)
        for size in np.unique(counts)
    ]

    def shuffle(values: Any) -> Any:
        shuffled = np.empty_like(values)
        for members in blocks:
            exchanged = members[random.permutation(len(members))]
            shuffled[members] = values[random.permuted(exchanged, axis=1)]
        return shuffled

    return shuffle


def _tails(sizes: Integers, mistakes: int, examples: int) -> Mapping[int, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return for each size of a group the chances of 0, 1, 2, … or more mistakes in it."""
    from scipy.stats import hypergeom

    return {int(size): hypergeom.sf(np.arange(-1, size), examples, mistakes, size) for size in sizes}
