"""Whether a difference between two predictors on the same examples could be chance."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.clusters import Floats, Integers, sums

EXCHANGES = 2000
_CELLS = 4_000_000  # rows drawn at a time, which bounds memory


@dataclass(frozen=True)
class McNemar:
    """The disagreement of two predictors on correctness.

    Attributes:
        only_ours: Examples that only the first predicts correctly.
        only_theirs: Examples that only the second predicts correctly.
        p: Probability of a split at least as uneven if both were right equally often.
    """

    only_ours: int
    only_theirs: int
    p: float


def mcnemar(
    ours: Sequence[Any], theirs: Sequence[Any], references: Sequence[Any], clusters: Integers | None = None
) -> McNemar:
    """Test by McNemar whether two predictors are right equally often.

    The mid-p form: the exact binomial test is conservative and the chi-squared test can be too liberal
    (Fagerland, Lydersen and Laake 2013, "The McNemar test for binary matched-pairs data"). With clusters it is a
    sign-flip test of each cluster's discordant rows: those that only the one predicts correctly minus the others.

    Args:
        ours: Predictions of the one.
        theirs: Predictions of the other.
        references: The truth.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
    """
    right = np.array([a == truth for a, truth in zip(ours, references, strict=True)], bool)
    others = np.array([b == truth for b, truth in zip(theirs, references, strict=True)], bool)
    return of_discordant(right, others, clusters)


def of_discordant(right: Any, others: Any, clusters: Integers | None) -> McNemar:
    """Return that test for whether each prediction of the one, and of the other, is right. Each of shape (N,)."""
    only_ours, only_theirs = int((right & ~others).sum()), int((others & ~right).sum())
    if clusters is None:
        return McNemar(only_ours, only_theirs, mid_p(only_ours, only_theirs))
    ahead = np.rint(np.bincount(clusters, right.astype(np.float64) - others)).astype(np.int64)
    return McNemar(only_ours, only_theirs, sign_flip_p(ahead))


def sign_flip_p(amounts: Integers) -> float:
    """Return the two-sided p-value of a sum of whole numbers if each could as well have the other sign.

    It is exact: the distribution of the sum is the product of cosines in the frequency domain, so 10,000 numbers cost
    no more than a few. Where clusters are few no smaller p-value than 2 to the power of one minus their number exists.

    Source: Fisher 1935, "The Design of Experiments", section 21.
    """
    sizes, counts = np.unique(np.abs(amounts[amounts != 0]), return_counts=True)
    most = int((sizes * counts).sum())
    period = 2 * most + 1
    angles = 2 * math.pi * np.arange(most + 1) / period
    spectrum = np.ones(most + 1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        spectrum *= np.cos(size * angles) ** count
    chances = np.maximum(np.fft.irfft(spectrum, period), 0.0)  # of the sums 0, 1, … most, and then -most, … -1
    total = abs(int(amounts.sum()))
    return float(min(1.0, 2 * chances[total : most + 1].sum())) if total else 1.0


def exchanged_p(
    ours: Floats,
    theirs: Floats,
    aggregate: Callable[[Floats], Floats],
    seed: int,
    clusters: Integers | None = None,
) -> float:
    """Return the two-sided p-value of a difference of a figure if the two predictors could be exchanged on each row.

    Approximate randomization: whether the statistics of a row, or of all rows of a cluster, are exchanged is random.

    Source: Noreen 1989, "Computer-Intensive Methods for Testing Hypotheses"; Yeh 2000, "More Accurate Tests for the
    Statistical Significance of Result Differences".

    Args:
        ours: Statistics of the one. Shape (N, S).
        theirs: Statistics of the other. Shape (N, S).
        aggregate: Sums → figure. Shape (..., S) → (...).
        seed: Of the exchanges.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
    """
    total = (ours + theirs).sum(axis=0)
    rows, counts = np.unique(sums(ours - theirs, clusters), axis=0, return_counts=True)
    rows, counts = rows[rows.any(axis=1)], counts[rows.any(axis=1)]
    if not len(rows):
        return 1.0
    random, chunk = np.random.default_rng(seed), max(1, _CELLS // len(rows))

    def apart(shift: Floats) -> Floats:
        first, second = (np.asarray(aggregate((total + sign * shift) / 2), np.float64) for sign in (1, -1))
        return np.abs(first - second)

    observed, as_large = float(apart(counts @ rows)), 0
    for start in range(0, EXCHANGES, chunk):
        kept = random.binomial(counts, 0.5, (min(chunk, EXCHANGES - start), len(rows)))
        with np.errstate(all="ignore"):  # where the exchanged rows have no figure
            drawn = apart((2.0 * kept - counts) @ rows)
        as_large += int((~(drawn < observed * (1 - 1e-9))).sum())
    return (1 + as_large) / (1 + EXCHANGES)


def mid_p(first: int, second: int) -> float:
    """Return the two-sided mid-p value of `first` against `second` outcomes of equal probability."""
    tosses, fewer = first + second, min(first, second)
    if first == second:
        return 1.0
    probabilities = np.exp(_log_binomials(tosses, fewer) - tosses * math.log(2))
    return float(min(1.0, 2 * probabilities.sum() - probabilities[-1]))


def at_most(successes: int, trials: int, chance: float) -> float:
    """Return the probability of `successes` or fewer in independent trials that succeed with probability `chance`."""
    if successes >= trials or not 0 < chance < 1:
        return float(successes >= trials or chance <= 0)
    k = np.arange(successes + 1)
    logs = _log_binomials(trials, successes) + k * math.log(chance) + (trials - k) * math.log1p(-chance)
    return float(min(1.0, np.exp(logs).sum()))


def _log_binomials(trials: int, most: int) -> Floats:
    """Return the logarithms of the binomial coefficients of 0 to `most` of `trials`. Shape (most + 1,)."""
    total = math.lgamma(trials + 1)
    return np.array([total - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in range(most + 1)])


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple tests (Holm 1979), so that each can be interpreted alone."""
    order = np.argsort(p_values, kind="stable")
    adjusted, highest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
