"""Metrics of numbers: errors, explained variance and correlations. Undefined figures are NaN."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from toolkit.metrics.base import LOGARITHM, Floats, Metric, RankMetric, Scale
from toolkit.metrics.classification import divide
from toolkit.metrics.means import mean, mean_of
from toolkit.metrics.ranks import Integers, in_pieces, ranked

_ROUNDING = 1e-12  # a sum of squares this much smaller than what it was subtracted from is 0

Values = Sequence[Any]


def _absolute(predictions: Values, references: Values, _labels: Sequence[str]) -> Floats:
    """Return the absolute error of each row. (N,)."""
    return np.abs(np.asarray(predictions, np.float64) - np.asarray(references, np.float64))


def _squared(predictions: Values, references: Values, labels: Sequence[str]) -> Floats:
    """Return the squared error of each row. (N,)."""
    return _absolute(predictions, references, labels) ** 2


def _root_mean(sums: Floats) -> Floats:
    return np.sqrt(np.maximum(mean(sums), 0.0))  # sums from which rows are subtracted may fall below 0 by rounding


def _variation(rows: Floats, total: Floats, squares: Floats) -> Floats:
    """Return the sum of squared deviations from the mean; 0 where rounding alone would leave some."""
    left = squares - divide(total**2, rows)
    return np.where(left > _ROUNDING * squares, left, 0.0)


def _standardized(values: Values) -> Floats:
    """Return the values with mean 0 and deviation 1, so that their squares lose no digits; zeros if all are equal."""
    numbers = np.asarray(values, np.float64)
    if not len(numbers) or np.ptp(numbers) == 0:
        return np.zeros(len(numbers))
    shifted = numbers - numbers.mean()
    scaled = shifted / np.abs(shifted).max()
    standardized: Floats = scaled / scaled.std()
    return standardized


def _errors_and_variation(predictions: Values, references: Values, labels: Sequence[str]) -> Floats:
    """Return (N, 4): 1, squared error, deviation of the truth from its mean, and its square."""
    true = np.asarray(references, np.float64)
    deviations = true - true.mean() if len(true) and np.ptp(true) > 0 else np.zeros(len(true))
    return np.stack([np.ones(len(true)), _squared(predictions, references, labels), deviations, deviations**2], axis=1)


def r2(sums: Floats) -> Floats:
    """Coefficient of determination, 1 - squared errors / squared deviations; NaN where the truth is constant.

    (..., 4) → (...). It is negative where predictions are worse than the mean of the truth.
    """
    rows, errors, deviations, squares = np.moveaxis(sums, -1, 0)
    variation = _variation(rows, deviations, squares)
    return np.where(variation > 0, 1 - divide(errors, variation), np.nan)


def _moments(predictions: Values, references: Values, _labels: Sequence[str]) -> Floats:
    """Return (N, 6): 1, prediction, truth, their squares, and their product, of standardized values."""
    predicted, true = _standardized(predictions), _standardized(references)
    return np.stack([np.ones(len(true)), predicted, true, predicted**2, true**2, predicted * true], axis=1)


def pearson(sums: Floats) -> Floats:
    """Pearson's correlation; NaN where either is constant. (..., 6) → (...)."""
    rows, predicted, true, predicted_squares, true_squares, products = np.moveaxis(sums, -1, 0)
    covariance = products - divide(predicted * true, rows)
    spread = np.sqrt(_variation(rows, predicted, predicted_squares) * _variation(rows, true, true_squares))
    return np.where(spread > 0, np.clip(divide(covariance, spread), -1, 1), np.nan)


def _spearman(predictions: Values, references: Values, _labels: Sequence[str]) -> Callable[[Floats], Floats]:
    """Prepare Spearman's rank correlation of weighted examples.

    A weight counts how often an example occurs: a value's rank is the mean of the places that it and its equals take
    when each is repeated by its weight. So whole weights give the correlation of the repeated examples, ties included.
    """
    plans = [_plan(np.asarray(values, np.float64)) for values in (predictions, references)]

    def figure(weights: Floats) -> Floats:
        first, second = (_centred_ranks(weights, *plan) for plan in plans)  # (B, N)
        covariance = (weights * first * second).sum(axis=1)
        spread = np.sqrt((weights * first**2).sum(axis=1) * (weights * second**2).sum(axis=1))
        return np.where(spread > 0, np.clip(divide(covariance, spread), -1, 1), np.nan)

    return in_pieces(figure)


def _plan(values: Floats) -> tuple[Integers, Integers, Integers]:
    """Return the order of the values, where each group of equals begins, and the group of each example."""
    order, starts = ranked(values)
    groups = np.empty(len(values), np.int64)
    groups[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    return order, starts, groups


def _centred_ranks(weights: Floats, order: Integers, starts: Integers, groups: Integers) -> Floats:
    """Return the mean place of each example less the mean of all, exactly 0 where all are equal. Shape (B, N)."""
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)  # (B, G)
    until = np.cumsum(sizes, axis=1)
    middle: Floats = until - sizes / 2 - until[:, -1:] / 2
    return middle[:, groups]


_LOGARITHM_OF_REST = Scale(lambda share: np.log(1 - share), lambda value: 1 - np.exp(value))
_FISHER = Scale(np.arctanh, np.tanh)  # Fisher 1921, "On the probable error of a coefficient of correlation"

_ALL: tuple[Metric | RankMetric, ...] = (
    Metric("mae", "Mean absolute error", mean_of(_absolute), mean, "float64", "value", higher_is_better=False),
    Metric(
        "rmse",
        "Root mean squared error",
        mean_of(_squared),
        _root_mean,
        "float64",
        "value",
        higher_is_better=False,
        scale=LOGARITHM,
    ),
    Metric("r2", "R²", _errors_and_variation, r2, "float64", "score", scale=_LOGARITHM_OF_REST),
    Metric("pearson", "Pearson correlation", _moments, pearson, "float64", "score", scale=_FISHER),
    RankMetric("spearman", "Spearman correlation", _spearman, "float64"),
)
METRICS = {metric.name: metric for metric in _ALL}
