"""Whether a difference between two predictors on the same examples could be chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


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


def mcnemar(ours: Sequence[Any], theirs: Sequence[Any], references: Sequence[Any]) -> McNemar:
    """Test by McNemar whether two predictors are right equally often.

    The mid-p form: the exact binomial test is conservative and the chi-squared test can be too liberal
    (Fagerland, Lydersen and Laake 2013, "The McNemar test for binary matched-pairs data").

    Args:
        ours: Predictions of the one.
        theirs: Predictions of the other.
        references: The truth.
    """
    right = np.array([a == truth for a, truth in zip(ours, references, strict=True)], bool)
    others = np.array([b == truth for b, truth in zip(theirs, references, strict=True)], bool)
    only_ours, only_theirs = int((right & ~others).sum()), int((others & ~right).sum())
    return McNemar(only_ours, only_theirs, mid_p(only_ours, only_theirs))


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
