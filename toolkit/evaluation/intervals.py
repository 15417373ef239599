"""How far a figure can be trusted: bootstrap intervals of anything that is a function of sums over examples."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

_CELLS = 4_000_000  # weights drawn at a time: bounds memory at 32 MB whatever the number of examples


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float


def resampled_sums(statistics: Floats, resamples: int, seed: int) -> Floats:
    """Draw bootstrap samples of the examples and sum their statistics.

    The same seed and number of examples give the same samples, so the sums of two models on the same
    examples are paired.

    Args:
        statistics: One row an example. Shape (N, S).
        resamples: B.
        seed: Of the draw.

    Returns:
        Shape (B, S).
    """
    examples = len(statistics)
    random = np.random.default_rng(seed)
    chunk = max(1, _CELLS // max(1, examples))
    sums = []
    for start in range(0, resamples, chunk):
        drawn = random.multinomial(examples, np.full(examples, 1 / examples), size=min(chunk, resamples - start))
        sums.append(drawn.astype(np.float64) @ statistics)
    return np.concatenate(sums)


def bootstrap(
    statistics: Floats, aggregate: Callable[[Floats], Floats], *, confidence: float, resamples: int, seed: int
) -> Interval:
    """Return the BCa bootstrap interval of `aggregate(statistics.sum(0))`.

    Source: Efron 1987, "Better Bootstrap Confidence Intervals", section 3; the acceleration from the jackknife.

    Args:
        statistics: One row an example. Shape (N, S).
        aggregate: Sums → figure. Shape (..., S) → (...).
        confidence: For example 0.95.
        resamples: Bootstrap samples.
        seed: Of the draw.
    """
    total = statistics.sum(axis=0)
    drawn = np.asarray(aggregate(resampled_sums(statistics, resamples, seed)), np.float64)
    jackknife = np.asarray(aggregate(total - statistics), np.float64)
    return bca(float(aggregate(total)), drawn, jackknife, confidence)


def bca(value: float, drawn: Floats, jackknife: Floats, confidence: float) -> Interval:
    """Return the bias-corrected and accelerated interval.

    Args:
        value: The figure on all examples.
        drawn: The figure on each bootstrap sample. Shape (B,).
        jackknife: The figure without each example. Shape (N,).
        confidence: For example 0.95.
    """
    if np.ptp(drawn) == 0:
        return Interval(value, value, value)
    normal = NormalDist()
    below = ((drawn < value).sum() + 0.5 * (drawn == value).sum()) / len(drawn)
    bias = normal.inv_cdf(min(max(below, 1 / (len(drawn) + 1)), 1 - 1 / (len(drawn) + 1)))
    spread = jackknife.mean() - jackknife
    squares = (spread**2).sum()
    acceleration = (spread**3).sum() / (6 * squares**1.5) if squares > 0 else 0.0

    def level(tail: float) -> float:
        z = bias + normal.inv_cdf(tail)
        return normal.cdf(bias + z / (1 - acceleration * z))

    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [level(tail), level(1 - tail)])
    return Interval(value, float(low), float(high))


def wilson(successes: float, trials: float, confidence: float) -> Interval:
    """Return Wilson's score interval of a proportion, which stays honest at 0 % and 100 %.

    Source: Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def paired_difference(
    ours: Floats,
    theirs: Floats,
    aggregate: Callable[[Floats], Floats],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """Return the BCa interval of the difference of one figure between two predictors on the same examples.

    Args:
        ours: Statistics of the one. Shape (N, S).
        theirs: Statistics of the other. Shape (N, S).
        aggregate: Sums → figure.
        confidence: For example 0.95.
        resamples: Bootstrap samples.
        seed: Of the draw.
    """
    width = ours.shape[1]

    def difference(sums: Floats) -> Floats:
        return np.asarray(aggregate(sums[..., :width])) - np.asarray(aggregate(sums[..., width:]))

    return bootstrap(
        np.concatenate([ours, theirs], axis=1), difference, confidence=confidence, resamples=resamples, seed=seed
    )
