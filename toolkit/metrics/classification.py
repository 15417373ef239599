"""Accuracy, F1 and Matthews correlation of class predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.metrics.base import Floats, Metric


def _right(predictions: Sequence[Any], references: Sequence[Any], _labels: Sequence[str]) -> Floats:
    """Return (N, 2): whether the example is right, and 1."""
    right = np.asarray(predictions) == np.asarray(references)
    return np.stack([right, np.ones(len(right))], axis=1).astype(np.float64)


def _share(sums: Floats) -> Floats:
    return divide(sums[..., 0], sums[..., 1])


def membership(values: Sequence[Any], classes: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which classes each row has: the number of one class a row, or a list of numbers. Shape (N, C).

    A number that is no class is left out.
    """
    member = np.zeros((len(values), classes), bool)
    if len(values) and isinstance(values[0], list | tuple | np.ndarray):
        rows = np.repeat(np.arange(len(values)), [len(row) for row in values])
        numbers = np.fromiter((number for row in values for number in row), np.int64, len(rows))
    else:
        rows, numbers = np.arange(len(values)), np.asarray(values, np.int64)
    inside = (numbers >= 0) & (numbers < classes)
    member[rows[inside], numbers[inside]] = True
    return member


def class_counts(predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]) -> Floats:
    """Return what an example adds to each class's counts. Shape (N, 3 C): true positives, predicted, true.

    Args:
        predictions: The number of one class for each row, or a list of numbers of classes.
        references: The truth, of the same form.
        labels: Names of the classes.
    """
    predicted, true = membership(predictions, len(labels)), membership(references, len(labels))
    counts = np.stack([predicted & true, predicted, true], axis=1)  # (N, 3, C)
    return counts.reshape(len(true), 3 * len(labels)).astype(np.float64)


def overlaps(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """(..., 3 C) → true positives, predicted, true, each (..., C)."""
    hits, predicted, true = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, -1), -2, 0)
    return hits, predicted, true


def precision(sums: Floats) -> Floats:
    """Share of the predictions of a class that are right; NaN where it was never predicted. (..., 3 C) → (..., C)."""
    hits, predicted, _ = overlaps(sums)
    return defined(divide(hits, predicted), predicted)


def recall(sums: Floats) -> Floats:
    """Share of a class that was predicted correctly; NaN where it does not occur. (..., 3 C) → (..., C)."""
    hits, _, true = overlaps(sums)
    return defined(divide(hits, true), true)


def f1(sums: Floats) -> Floats:
    """Harmonic mean of precision and recall, 2 TP / (predicted + true), or 0 without either. (..., 3 C) → (..., C)."""
    hits, predicted, true = overlaps(sums)
    return divide(2 * hits, predicted + true)


def macro_f1(sums: Floats) -> Floats:
    """Mean F1 over the classes that occur, in truth or prediction, as scikit-learn takes it."""
    _, predicted, true = overlaps(sums)
    occurs = (predicted + true) > 0
    return divide((f1(sums) * occurs).sum(-1), occurs.sum(-1))


def _weighted_f1(sums: Floats) -> Floats:
    """Mean F1 over the classes, each with the weight of its examples."""
    _, _, true = overlaps(sums)
    return divide((f1(sums) * true).sum(-1), true.sum(-1))


def _matthews(sums: Floats) -> Floats:
    """Matthews correlation for any number of classes (Gorodkin 2004, equation 8).

    Where only one class is predicted it is 0, the limit of nearby cases (Chicco and Jurman 2020); where only one class
    is true the correlation is undefined, and it is NaN.
    """
    hits, predicted, true = overlaps(sums)
    total = true.sum(-1)
    covariance = hits.sum(-1) * total - (predicted * true).sum(-1)
    spread = np.sqrt((total**2 - (predicted**2).sum(-1)) * (total**2 - (true**2).sum(-1)))
    return defined(divide(covariance, spread), (true > 0).sum(-1) > 1)


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide; 0 where the denominator is 0."""
    result = np.zeros(np.broadcast(numerator, denominator).shape)
    return np.divide(numerator, denominator, out=result, where=np.asarray(denominator) != 0)


def defined(figures: Floats, known: Any) -> Floats:
    """Return the figures, NaN where `known` is 0."""
    return np.where(np.asarray(known) != 0, figures, np.nan)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "Accuracy", _right, _share, proportion=True),
        Metric("f1", "Macro F1", class_counts, macro_f1, overlaps=overlaps),
        Metric("f1_weighted", "Weighted F1", class_counts, _weighted_f1),
        Metric("matthews", "Matthews correlation", class_counts, _matthews, unit="score"),
    )
}
