"""Thresholds of several classes a row, one for each class, chosen on validation rows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import effective_rows
from toolkit.metrics.base import Floats
from toolkit.metrics.classification import divide, membership
from toolkit.metrics.probability import probability_matrix

DEFAULT = 0.5
LEAST_POSITIVES = 5  # with fewer, a class has the threshold of all classes together
# Positive rows as which the threshold of all classes counts for one class, and 0.5 for all classes. In simulations with
# 30 to 1,000 validation rows this gave up little of the gain, and lost least where 0.5 is already the best threshold.
_CLASS_SHRINKAGE = 20.0
_POOLED_SHRINKAGE = 50.0
_NEAREST = 1e-6  # thresholds stay so far from 0 and 1

Members = np.ndarray[Any, np.dtype[np.bool_]]


def choose(
    probabilities: Sequence[Any],
    references: Sequence[Sequence[int]],
    clusters: Integers | None = None,
    confidence: float = 0.95,
) -> list[float]:
    """Choose for each class the threshold with the highest F1 on validation rows, shrunk so that it fits new rows too.

    On few rows the best threshold is best by chance. So, on the scale of logits, the threshold of all classes together
    (highest micro F1) is shrunk towards 0.5, and that of a class towards the threshold of all classes, the more the
    fewer positive rows there are. A class with fewer than `LEAST_POSITIVES` has the threshold of all classes; with
    fewer in all classes together, every threshold is 0.5.

    Args:
        probabilities: Of each class, for each row. Shape (N, C).
        references: Numbers of the true classes of each row.
        clusters: Number of each row's cluster, by which positive rows count as fewer independent ones; None where rows
            are independent. Shape (N,).
        confidence: Of the intervals in which they would count so.

    Returns:
        A threshold for each class: probabilities at or above it are positive.
    """
    scores = probability_matrix(probabilities)
    true = membership(references, scores.shape[1])
    positives = np.array([_independent(true[:, number], clusters, confidence) for number in range(true.shape[1])])
    if positives.sum() < LEAST_POSITIVES:
        return [DEFAULT] * scores.shape[1]
    total = float(positives.sum())
    pooled = _shrunk(best_f1(scores.ravel(), true.ravel()), 0.0, total / (total + _POOLED_SHRINKAGE))
    logits = [
        _shrunk(best_f1(scores[:, number], true[:, number]), pooled, count / (count + _CLASS_SHRINKAGE))
        if count >= LEAST_POSITIVES
        else pooled
        for number, count in enumerate(positives.tolist())
    ]
    return [1 / (1 + math.exp(-logit)) for logit in logits]


def _independent(positive: Members, clusters: Integers | None, confidence: float) -> float:
    """Return as how many independent rows the positive rows of a class count; each as one without clusters."""
    if clusters is None or not positive.any():
        return float(positive.sum())
    return float(positive.mean()) * effective_rows(positive.astype(np.float64), clusters, confidence)


def stored_thresholds(stored: Mapping[str, Any], labels: Sequence[str]) -> list[float]:
    """Return the threshold of each class that is stored with a model; one half where none is.

    Args:
        stored: What was determined on validation rows.
        labels: Names of the classes.
    """
    thresholds = stored.get("thresholds")
    if not isinstance(thresholds, list) or len(thresholds) != len(labels):
        return [DEFAULT] * len(labels)
    return [float(value) for value in thresholds]


def _shrunk(threshold: float, towards: float, weight: float) -> float:
    """Return the logit of a threshold, with this weight, averaged with another logit."""
    bounded = min(max(threshold, _NEAREST), 1 - _NEAREST)
    return weight * math.log(bounded / (1 - bounded)) + (1 - weight) * towards


def best_f1(scores: Floats, true: Members) -> float:
    """Return the threshold with the highest F1, halfway to the next lower score; scores at or above it are positive.

    Args:
        scores: Shape (N,).
        true: Whether a row is of the class; at least one is. Shape (N,).
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(ordered[1:] != ordered[:-1], True)  # of equal scores: a threshold does not divide them
    right = np.cumsum(true[order])[last]
    predicted = np.flatnonzero(last) + 1.0
    best = int(np.argmax(divide(2.0 * right, predicted + true.sum())))
    kept = ordered[last]
    below = kept[best + 1] if best + 1 < len(kept) else 0.0
    halfway = (kept[best] + below) / 2
    return float(halfway if halfway > below else kept[best])


def predicted_classes(probabilities: Sequence[Any], thresholds: Sequence[float]) -> list[list[int]]:
    """Return the classes of each row whose probability is at or above their threshold, in ascending order."""
    above = probability_matrix(probabilities) >= np.asarray(thresholds)
    return [np.flatnonzero(row).tolist() for row in above]
