"""Metrics of class probabilities: areas under curves, top-k accuracy, Brier score, log loss."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from toolkit.metrics.base import Floats, Metric, RankMetric
from toolkit.metrics.classification import divide

_CELLS = 4_000_000  # weights that are ranked at a time


def probability_matrix(predictions: Sequence[Any] | Floats) -> Floats:
    """Return the probabilities as one array. Shape (N, C)."""
    return np.asarray(predictions, np.float64).reshape(len(predictions), -1)


def _areas(
    one_class: Callable[[Floats, Floats], Floats],
) -> Callable[[Sequence[Any], Sequence[Any], Sequence[str]], Callable[[Floats], Floats]]:
    """Make the `prepare` of a metric out of the area for one class against the rest.

    Of two classes the second is the positive one, as scikit-learn has it; of more the areas are averaged over the
    classes that occur.

    Args:
        one_class: (weights of the positives, weights of the others), both (B, G) in falling order of the score with
            equal scores together, to areas (B,).
    """

    def prepare(
        predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]
    ) -> Callable[[Floats], Floats]:
        probabilities, true = probability_matrix(predictions), np.asarray(references, np.int64)
        classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
        plans = [(*_ranked(probabilities[:, number]), true == number) for number in classes]

        def figure(weights: Floats) -> Floats:
            step = max(1, _CELLS // max(1, len(true)))
            return np.concatenate([_mean(weights[i : i + step]) for i in range(0, len(weights), step)])

        def _mean(weights: Floats) -> Floats:
            areas = []
            for order, starts, positive in plans:
                ranked = weights[:, order]  # (B, N)
                ours = np.add.reduceat(ranked * positive[order], starts, axis=1)  # (B, G)
                areas.append(one_class(ours, np.add.reduceat(ranked, starts, axis=1) - ours))
            stacked = np.stack(areas)  # (C, B)
            defined = ~np.isnan(stacked)
            some = defined.any(axis=0)
            return np.where(some, divide(np.where(defined, stacked, 0).sum(axis=0), defined.sum(axis=0)), np.nan)

        return figure

    return prepare


def _ranked(scores: Floats) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the order of falling scores, and where in it each group of equal scores begins."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _roc_area(positive: Floats, other: Floats) -> Floats:
    """Probability that a positive ranks above a negative, ties counted half (Hanley and McNeil 1982). (B, G) → (B,)."""
    above = np.cumsum(positive, axis=1) - positive / 2
    pairs = positive.sum(axis=1) * other.sum(axis=1)
    return np.where(pairs > 0, divide((above * other).sum(axis=1), pairs), np.nan)


def _average_precision(positive: Floats, other: Floats) -> Floats:
    """Precision at each threshold, weighted by the recall it adds. (B, G) → (B,)."""
    true_positives = np.cumsum(positive, axis=1)
    precision = divide(true_positives, true_positives + np.cumsum(other, axis=1))
    total = positive.sum(axis=1)
    return np.where(total > 0, divide((positive * precision).sum(axis=1), total), np.nan)


def _mean_of(per_example: Callable[[Floats, np.ndarray[Any, Any]], Floats]) -> Callable[..., Floats]:
    """Make the `statistics` of a metric that is a mean over examples. Shape (N, 2): the number, and 1."""

    def statistics(predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]) -> Floats:
        probabilities, true = probability_matrix(predictions), np.asarray(references, np.int64)
        return np.stack([per_example(probabilities, true), np.ones(len(true))], axis=1)

    return statistics


def mean(sums: Floats) -> Floats:
    """Sums → mean. (..., 2) → (...)."""
    return divide(sums[..., 0], sums[..., 1])


def _within(k: int) -> Callable[[Floats, np.ndarray[Any, Any]], Floats]:
    """Whether fewer than `k` classes are likelier than the true one; of equal ones the later numbers come first."""

    def hit(probabilities: Floats, true: np.ndarray[Any, Any]) -> Floats:
        own = probabilities[np.arange(len(true)), true][:, None]
        ahead = (probabilities > own) | ((probabilities == own) & (np.arange(probabilities.shape[1]) > true[:, None]))
        hits: Floats = (ahead.sum(axis=1) < k).astype(np.float64)
        return hits

    return hit


def brier(probabilities: Floats, true: np.ndarray[Any, Any]) -> Floats:
    """Squared distance of the probabilities to the truth, summed over the classes (Brier 1950): 0 to 2. (N,)."""
    distances: Floats = ((probabilities - np.eye(probabilities.shape[1])[true]) ** 2).sum(axis=1)
    return distances


def log_loss(probabilities: Floats, true: np.ndarray[Any, Any]) -> Floats:
    """Negative logarithm of the probability of the truth. (N,)."""
    losses: Floats = -np.log(np.maximum(probabilities[np.arange(len(true)), true], 1e-15))
    return losses


def _top(k: int) -> Metric:
    title = f"Top-{k} accuracy"
    return Metric(f"top_{k}", title, _mean_of(_within(k)), mean, "probabilities", proportion=True, least_classes=k + 1)


_ALL: tuple[Metric | RankMetric, ...] = (
    RankMetric("auroc", "Area under the ROC curve", _areas(_roc_area)),
    RankMetric("average_precision", "Average precision", _areas(_average_precision), unit="fraction"),
    _top(3),
    _top(5),
    Metric("brier", "Brier score", _mean_of(brier), mean, "probabilities", "score", higher_is_better=False),
    Metric("log_loss", "Log loss", _mean_of(log_loss), mean, "probabilities", "score", higher_is_better=False),
)
METRICS = {metric.name: metric for metric in _ALL}
