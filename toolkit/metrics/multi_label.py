"""Metrics of several classes a row: F1, exact match, and the order of the probabilities.

A prediction and a reference are lists of numbers of classes, in any order, and may be empty; probabilities are one
number for each class. Where a figure is 0 of 0, it is undefined and NaN, except that a row without classes for which
none is predicted is wholly right.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.metrics.base import LOGARITHM, Floats, Metric, RankMetric
from toolkit.metrics.classification import class_counts, defined, divide, membership, overlaps
from toolkit.metrics.classification import macro_f1 as macro_f1_or_0
from toolkit.metrics.means import mean, mean_of
from toolkit.metrics.probability import areas, average_precision, probability_matrix, share_of_positives

_CELLS = 4_000_000  # probabilities that are compared at a time


def macro_f1(sums: Floats) -> Floats:
    """Mean F1 over the classes that occur, in truth or prediction; NaN without any. (..., 3 C) → (...)."""
    _, predicted, true = overlaps(sums)
    return defined(macro_f1_or_0(sums), (predicted + true).sum(-1))


def _row_counts(predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]) -> Floats:
    """Return (N, 4): classes that are rightly predicted, predicted, true, and 1."""
    predicted, true = membership(predictions, len(labels)), membership(references, len(labels))
    counts = [(predicted & true).sum(axis=1), predicted.sum(axis=1), true.sum(axis=1), np.ones(len(true))]
    return np.stack(counts, axis=1).astype(np.float64)


def micro_f1(sums: Floats) -> Floats:
    """F1 of all pairs of a row and a class, 2 TP / (predicted + true). (..., 4) → (...)."""
    pairs = sums[..., 1] + sums[..., 2]
    return defined(divide(2 * sums[..., 0], pairs), pairs)


def _pooled(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Return right, predicted and true of all classes together, counted as at most one case a row. (4,) → three (1,).

    The classes of a row are not independent, so a row is no more evidence than one case.
    """
    right, predicted, true, rows = sums
    cases = predicted + true - right
    share = min(1.0, rows / cases) if cases else 1.0
    return np.array([right * share]), np.array([predicted * share]), np.array([true * share])


def _same(predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]) -> Any:
    """Return whether all classes of a row are right. (N,)."""
    right, predicted, true, _ = _row_counts(predictions, references, labels).T
    return (right == predicted) & (right == true)


def _row_f1(predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]) -> Floats:
    """Return F1 of the classes of each row; 1 where there are none and none is predicted. (N,)."""
    right, predicted, true, _ = _row_counts(predictions, references, labels).T
    return np.where(predicted + true > 0, divide(2 * right, predicted + true), 1.0)


def _ranking_losses(predictions: Sequence[Any], references: Sequence[Any], _labels: Sequence[str]) -> Floats:
    """Return the share of pairs (a class of the row, another class) that are in the wrong order. (N,).

    Equal probabilities are in the wrong order; where a row has all classes or none, the share is 0 (Tsoumakas, Katakis
    and Vlahavas 2010, "Mining Multi-label Data", section 4.2).
    """
    probabilities = probability_matrix(predictions)
    true = membership(references, probabilities.shape[1])
    rows, classes = np.nonzero(true)
    wrong = np.zeros(len(true))
    step = max(1, _CELLS // max(1, true.shape[1]))
    for start in range(0, len(rows), step):
        row, number = rows[start : start + step], classes[start : start + step]
        above = (probabilities[row] >= probabilities[row, number][:, None]) & ~true[row]
        np.add.at(wrong, row, above.sum(axis=1))
    size = true.sum(axis=1)
    return divide(wrong, (size * (true.shape[1] - size)).astype(np.float64))


_ALL: tuple[Metric | RankMetric, ...] = (
    Metric("micro_f1", "Micro F1", _row_counts, micro_f1, "labels", overlaps=_pooled),
    Metric("macro_f1", "Macro F1", class_counts, macro_f1, "labels", overlaps=overlaps),
    Metric("samples_f1", "Mean F1 of the rows", mean_of(_row_f1), mean, "labels", proportion=True),
    Metric("exact_match", "Exact match", mean_of(_same), mean, "labels", proportion=True),
    RankMetric(
        "mean_average_precision",
        "Mean average precision",
        areas(average_precision),
        unit="fraction",
        reference_type="labels",
        base_rate=share_of_positives,
    ),
    Metric(
        "ranking_loss",
        "Ranking loss",
        mean_of(_ranking_losses),
        mean,
        "probabilities",
        higher_is_better=False,
        proportion=True,
        reference_type="labels",
        scale=LOGARITHM,
    ),
)
METRICS = {metric.name: metric for metric in _ALL}
