"""Intervals of figures that depend on the order of the examples, by their weights in bootstrap samples."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from toolkit.evaluation.statistics import clusters as clusters_
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import CELLS, STEP, Floats, Interval, bca, resampled_weights
from toolkit.metrics.base import Scale

_MANY = 200  # examples of a class: Student's quantile is then nearly the normal one
_HALVINGS = 50  # of the range of an area, which leave less than rounding
_GROUPS = 400  # of examples left out in turn where the jackknife is not a formula


def bootstrap_weighted(
    figure: Callable[[Floats], Floats],
    examples: int,
    *,
    confidence: float,
    resamples: int,
    seed: int,
    clusters: Integers | None = None,
    scale: Scale | None = None,
    classes: Sequence[int] | None = None,
) -> Interval:
    """Return the bootstrap interval of a figure that is given by the weights of the examples.

    It is the BCa interval, or with a scale symmetric on it: Student's quantile times the standard error of the
    resamples, carried to the scale by the delta method, as Qin and Hotilovac 2008 do with log odds ("Comparison of
    Non-Parametric Confidence Intervals for the Area Under the ROC Curve of a Continuous-Scale Diagnostic Test").

    The jackknife leaves out whole groups of examples, of which there are a few hundred: the acceleration is a
    skewness of their influences, and sums of influences keep it (Efron and Tibshirani 1993, section 11.5).

    Args:
        figure: Weights (B, N) to figures (B,); NaN where it is undefined for the weights.
        examples: N.
        confidence: For example 0.95.
        resamples: Bootstrap samples.
        seed: Of the draw.
        clusters: Number of each example's cluster; None where examples are independent. Shape (N,).
        scale: Of the figure.
        classes: Class of each example, for the degrees of freedom of the scale's interval. Shape (N,).
    """
    if clusters is not None:
        level = clusters_.widened(confidence, clusters)
        settings: dict[str, Any] = {"confidence": level, "resamples": resamples, "seed": seed, "scale": scale}
        return bootstrap_weighted(lambda weights: figure(weights[:, clusters]), clusters_.count(clusters), **settings)
    value = float(figure(np.ones((1, examples)))[0])
    drawn = np.concatenate([figure(weights) for weights in resampled_weights(examples, resamples, seed)])
    order = np.random.default_rng(seed).permutation(examples)
    known = drawn[~np.isnan(drawn)]
    if scale is not None and not math.isnan(value) and len(known) > 1 and np.ptp(known) > 0:
        step = min(STEP, abs(value) / 2, abs(1 - value) / 2)
        below, centre, above = map(float, scale.to(np.array([value - step, value, value + step])))
        error = float(np.std(known, ddof=1)) * abs(above - below) / (2 * step) if step > 0 else math.inf
        half = error * clusters_.student(confidence, _freedom(figure, order, classes))
        low, high = sorted(float(scale.back(np.array([centre + end]))[0]) for end in (-half, half))
        return Interval(value, min(low, value), max(high, value))
    groups = order % min(_GROUPS, examples)
    return bca(value, drawn, _without_each(figure, groups), confidence)


def _freedom(figure: Callable[[Floats], Floats], order: Integers, classes: Sequence[int] | None) -> float:
    """Return the degrees of freedom of a figure's variance, of which each class of examples has a share.

    A variance is that of influences, and its own variance grows with their kurtosis: where the ranking is nearly
    perfect a few rows have all influence, and the degrees of freedom are nearly as few. Influences are those of the
    jackknife, of up to `_GROUPS` examples of the smallest classes one by one, and of the others in groups.

    Source: Satterthwaite 1946, "An Approximate Distribution of Estimates of Variance Components"; of the variance of a
    variance Cramér 1946, "Mathematical Methods of Statistics", section 27.4.
    """
    examples = len(order)
    numbers = np.zeros(examples, np.int64) if classes is None else np.unique(classes, return_inverse=True)[1]
    sizes = np.bincount(numbers)
    if sizes.min() > _MANY:
        return math.inf
    variances, freedoms = np.zeros(len(sizes)), np.ones(len(sizes))
    for number, size in enumerate(sizes):
        members = order[numbers[order] == number]
        groups = np.full(examples, -1)
        groups[members] = np.arange(size) % max(2, _GROUPS // len(sizes))
        values = _without_each(figure, groups)
        values = values[~np.isnan(values)]
        if len(values) < 2:
            continue
        squares = (values - values.mean()) ** 2
        variances[number] = float(squares.sum())
        spread_of_squares = float((squares**2).sum()) - variances[number] ** 2 / len(squares)
        of_tails = 2 * variances[number] ** 2 / spread_of_squares if spread_of_squares > 0 else math.inf
        freedoms[number] = max(1.0, min(of_tails, size - 1))
    spread = variances > 0
    if not spread.any():
        return 1.0
    return float(variances.sum() ** 2 / (variances[spread] ** 2 / freedoms[spread]).sum())


def perfect(value: float, members: Any, confidence: float, clusters: Integers | None = None) -> Interval | None:
    """Return the interval of the area under a ROC curve that all resamples have, or of the mean of those of classes.

    Args:
        value: The area: 1 where the ranking is perfect; NaN where there is none.
        members: Whether each row is of each class. Shape (N, C).
        confidence: For example 0.95.
        clusters: Number of each row's cluster, of which each counts as one row; None where rows are independent.
    """

    def size(rows: Any) -> float:
        return float(rows.sum() if clusters is None else len(np.unique(clusters[rows])))

    sides = [(size(rows), size(~rows)) for rows in np.asarray(members).T]
    each = [share_of_pairs(value, *both, confidence) for both in sides if min(both)]
    if math.isnan(value) or not each:
        return None
    return Interval(value, *(float(np.mean([getattr(ends, end) for ends in each])) for end in ("low", "high")))


def share_of_pairs(value: float, positives: float, others: float, confidence: float) -> Interval:
    """Return the score interval of an area under the ROC curve, which has a width where the ranking is perfect.

    It is the share of pairs in which the positive ranks first; the interval holds the areas whose own standard error
    allows for the observed one. That standard error is the one of exponential scores, so the interval is only used
    where resamples do not vary: with scores of another shape it can be much too narrow.

    Source: Newcombe 2006, "Confidence Intervals for an Effect Size Measure Based on the Mann-Whitney Statistic. Part
    2", method 5.

    Args:
        value: The area.
        positives: Their number.
        others: Their number.
        confidence: For example 0.95.
    """
    z, pairs = clusters_.quantile(confidence, None), (positives + others) / 2 - 1

    def excess(area: float) -> float:
        error = area * (1 - area) * (1 + pairs * ((1 - area) / (2 - area) + area / (1 + area))) / (positives * others)
        return abs(value - area) - z * math.sqrt(max(error, 0.0))

    ends = []
    for beyond in (0.0, 1.0):
        outside, inside = beyond, value
        for _ in range(_HALVINGS):
            middle = (outside + inside) / 2
            outside, inside = (middle, inside) if excess(middle) > 0 else (outside, middle)
        ends.append(inside)
    return Interval(value, *ends)


def _without_each(figure: Callable[[Floats], Floats], groups: Integers) -> Floats:
    """Return the figure without each group of examples. (N,) → (groups,)."""
    chunk = max(1, CELLS // max(1, len(groups)))
    numbers = np.arange(groups.max() + 1)[:, None]
    return np.concatenate(
        [figure((groups != numbers[i : i + chunk]).astype(np.float64)) for i in range(0, len(numbers), chunk)]
    )
