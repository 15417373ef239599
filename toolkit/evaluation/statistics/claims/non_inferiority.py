"""Intervals of how much worse one model is than another, for tests against a margin.

A difference is shown to be below a margin if the upper end of its interval is, and above it if the lower end is
(Committee for Proprietary Medicinal Products 2000, "Points to Consider on Switching between Superiority and
Non-Inferiority"). Each end is exceeded with a probability of its own, `error`; an `Interval` here has both at the same.
"""

import math
from statistics import NormalDist

import numpy as np

from toolkit.evaluation.statistics import clusters as clusters_
from toolkit.evaluation.statistics.clusters import Floats, Integers
from toolkit.evaluation.statistics.intervals import Interval

_HALVINGS = 50  # of the range of a difference, which leave less than rounding
_POWER = NormalDist().inv_cdf(0.8)  # that a number of rows is planned for
_MOST_ROWS = 10_000_000


def paired_shares(
    first: Floats, second: Floats, error: float, clusters: Integers | None = None, correction: float = 1.0
) -> Interval:
    """Return the share of hits of the first minus that of the second on the same rows, by Tango's score interval.

    It has a width also where both hit the same rows. Where few rows differ its lower end errs up to twice as often as
    it may, by enumeration; with a continuity correction of one row each end errs less often than that. With clusters
    the number of rows is divided by the design effect of the difference and by the square of Student's over the normal
    quantile, as of `intervals.share`.

    Source: Tango 1998, "Equivalence Test and Confidence Interval for the Difference in Proportions for the Paired-
    Sample Design".

    Args:
        first: 1 or 0 for each row. Shape (N,).
        second: The same of the other. Shape (N,).
        error: Probability that the true difference is below the lower end, and that it is above the upper one.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
        correction: For continuity, in rows.
    """
    difference = first - second
    rows = len(difference)
    counted = _effective_rows(difference, error, clusters) / rows
    only_first, only_second = counted * float((difference > 0).sum()), counted * float((difference < 0).sum())
    value, z = float(difference.mean()), NormalDist().inv_cdf(1 - error)
    low = _crossing(only_first - only_second - correction, only_first, only_second, counted * rows, value, z)
    high = -_crossing(only_second - only_first - correction, only_second, only_first, counted * rows, -value, z)
    return Interval(value, low, high)


def _effective_rows(difference: Floats, error: float, clusters: Integers | None) -> float:
    rows = float(len(difference))
    if clusters is None:
        return rows
    groups = clusters_.count(clusters)
    if groups < 2 or not difference.any():
        return float(groups)
    centred = difference - difference.mean()
    variance = groups / (groups - 1) * float((np.bincount(clusters, centred) ** 2).sum())
    few = (NormalDist().inv_cdf(1 - error) / clusters_.quantile(1 - 2 * error, clusters)) ** 2
    return min(rows, rows * float(centred @ centred) / variance if variance > 0 else rows) * few


def _crossing(excess: float, only_first: float, only_second: float, rows: float, value: float, z: float) -> float:
    """Return the difference, at most `value`, at which the score statistic of an excess is `z`."""
    low, high = -1.0, value
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if excess - rows * middle > z * _spread(only_first, only_second, rows, middle):
            low = middle
        else:
            high = middle
    return low


def _spread(only_first: float, only_second: float, rows: float, difference: float) -> float:
    """Return the standard error of the excess, with the most likely share of `only_second` under a difference."""
    b = -only_first - only_second + (2 * rows - only_first + only_second) * difference
    c = -only_second * difference * (1 - difference)
    share = (math.sqrt(max(b**2 - 8 * rows * c, 0.0)) - b) / (4 * rows)
    return math.sqrt(max(rows * (2 * share + difference * (1 - difference)), 0.0))


def of_separate(first: Interval, second: Interval) -> Interval:
    """Return the first figure minus the second, from an interval of each, which need not be symmetric.

    For figures of the same rows, which are correlated, it is wider than it need be.

    Source: Zou and Donner 2008, "Construction of Confidence Limits about Effect Measures: A General Approach".
    """
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Interval(value, value - below, value + above)


def scaled(interval: Interval, confidence: float, error: float) -> Interval:
    """Return an interval of another level: its arms are multiplied by the quotient of normal quantiles.

    Args:
        interval: Two-sided, at `confidence`.
        confidence: Its level.
        error: Wanted probability of each end to be exceeded.
    """
    factor = NormalDist().inv_cdf(1 - error) / NormalDist().inv_cdf(0.5 + confidence / 2)
    value = interval.value
    return Interval(value, value - factor * (value - interval.low), value + factor * (interval.high - value))


def agreeing(value: float, size: float, units: float, error: float) -> Interval:
    """Return an interval where two models agree on every row, and resampling has no variance.

    Of `units` rows none differs, so that at most 1 - error^(1 / units) of all do (Clopper and Pearson 1934); each is
    taken to change the figure by `size`, the range of a mean, at most.
    """
    half = size * (1 - error ** (1 / units))
    return Interval(value, value - half, value + half)


def rows_needed(rows: float, arm: float, distance: float, error: float) -> int | None:
    """Return how many rows decide with a probability of 80 %, if the difference stays as it is.

    Args:
        rows: Of which the interval is.
        arm: From the difference to the end of the interval that is towards the margin.
        distance: From the difference to the margin.
        error: Of that end.

    Returns:
        None if there are more than ten million.
    """
    quantile = NormalDist().inv_cdf(1 - error)
    if distance <= 0 or quantile <= 0:
        return None
    needed = rows * (arm / quantile * (quantile + _POWER) / distance) ** 2
    return math.ceil(needed) if needed <= _MOST_ROWS else None
