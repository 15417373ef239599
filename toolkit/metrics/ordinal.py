"""Metrics of ordered classes: prediction and reference are numbers of classes, in their order."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.metrics.base import Floats, Metric
from toolkit.metrics.classification import defined, divide
from toolkit.metrics.means import mean, mean_of


def _moments(predictions: Sequence[Any], references: Sequence[Any], _labels: Sequence[str]) -> Floats:
    """Return (N, 6): 1, prediction, truth, their squares, and their product."""
    predicted, true = np.asarray(predictions, np.float64), np.asarray(references, np.float64)
    return np.stack([np.ones(len(true)), predicted, true, predicted**2, true**2, predicted * true], axis=1)


def quadratic_kappa(sums: Floats) -> Floats:
    """Cohen's kappa with weights (i - j)²: 1 - observed / expected by chance. (..., 6) → (...).

    With these weights both are functions of moments, and no table of confusion is needed. NaN where prediction and
    truth are the same class everywhere, and chance too is always right.

    Source: Cohen 1968, "Weighted Kappa"; as a concordance of moments, Fleiss and Cohen 1973.
    """
    rows, predicted, true, predicted_squares, true_squares, products = np.moveaxis(sums, -1, 0)
    observed = rows * (predicted_squares + true_squares - 2 * products)
    expected = rows * (predicted_squares + true_squares) - 2 * predicted * true
    return defined(1 - divide(observed, expected), expected)


def _steps(predictions: Sequence[Any], references: Sequence[Any], _labels: Sequence[str]) -> Floats:
    """Return the distance of prediction and truth, in steps of the order. (N,)."""
    return np.abs(np.asarray(predictions, np.float64) - np.asarray(references, np.float64))


def _near(predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]) -> Any:
    return _steps(predictions, references, labels) <= 1


METRICS = {
    metric.name: metric
    for metric in (
        Metric("quadratic_kappa", "Quadratic weighted kappa", _moments, quadratic_kappa, unit="score"),
        Metric(
            "ordinal_mae",
            "Mean distance in classes",
            mean_of(_steps),
            mean,
            unit="score",
            higher_is_better=False,
        ),
        Metric("within_one", "Within one class", mean_of(_near), mean, proportion=True),
    )
}
