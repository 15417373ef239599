"""Metrics of class probabilities: areas under curves, top-k accuracy, Brier score, log loss."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from toolkit.metrics.base import Floats, Metric, RankMetric, log_odds
from toolkit.metrics.classification import divide, membership
from toolkit.metrics.means import mean, mean_of
from toolkit.metrics.ranks import in_pieces, ranked


def probability_matrix(predictions: Sequence[Any] | Floats) -> Floats:
    """Return the probabilities as one array. Shape (N, C)."""
    return np.asarray(predictions, np.float64).reshape(len(predictions), -1)


def areas(
    one_class: Callable[[Floats, Floats], Floats],
) -> Callable[[Sequence[Any], Sequence[Any], Sequence[str]], Callable[[Floats], Floats]]:
    """Make the `prepare` of a metric out of the area for one class against the rest.

    Of two classes of which each row has one, the second is the positive one, as scikit-learn has it; otherwise the
    areas are averaged over the classes that occur.

    Args:
        one_class: (weights of the positives, weights of the others), both (B, G) in falling order of the score with
            equal scores together, to areas (B,).
    """

    def prepare(
        predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]
    ) -> Callable[[Floats], Floats]:
        probabilities = probability_matrix(predictions)
        true = membership(references, probabilities.shape[1])
        exclusive = len(references) and not isinstance(references[0], list | tuple | np.ndarray)
        classes = [1] if exclusive and probabilities.shape[1] == 2 else range(probabilities.shape[1])
        plans = [(*ranked(probabilities[:, number]), true[:, number]) for number in classes]

        def figure(weights: Floats) -> Floats:
            results = []
            for order, starts, positive in plans:
                sorted_weights = weights[:, order]  # (B, N)
                ours = np.add.reduceat(sorted_weights * positive[order], starts, axis=1)  # (B, G)
                results.append(one_class(ours, np.add.reduceat(sorted_weights, starts, axis=1) - ours))
            stacked = np.stack(results)  # (C, B)
            known = ~np.isnan(stacked)
            total = np.where(known, stacked, 0).sum(axis=0)
            return np.where(known.any(axis=0), divide(total, known.sum(axis=0)), np.nan)

        return in_pieces(figure)

    return prepare


def _roc_area(positive: Floats, other: Floats) -> Floats:
    """Probability that a positive ranks above a negative, ties counted half (Hanley and McNeil 1982). (B, G) → (B,)."""
    above = np.cumsum(positive, axis=1) - positive / 2
    pairs = positive.sum(axis=1) * other.sum(axis=1)
    return np.where(pairs > 0, divide((above * other).sum(axis=1), pairs), np.nan)


def average_precision(positive: Floats, other: Floats) -> Floats:
    """Precision at each threshold, weighted by the recall it adds. (B, G) → (B,)."""
    true_positives = np.cumsum(positive, axis=1)
    precision = divide(true_positives, true_positives + np.cumsum(other, axis=1))
    total = positive.sum(axis=1)
    return np.where(total > 0, divide((positive * precision).sum(axis=1), total), np.nan)


def share_of_positives(references: Sequence[Any], labels: Sequence[str]) -> tuple[str, float]:
    """Return the positive class, as of `areas`, and its share of the rows; of a mean "" and the classes' mean share."""
    shares = membership(references, len(labels)).mean(axis=0)
    if len(labels) == 2 and len(references) and not isinstance(references[0], list | tuple | np.ndarray):
        return labels[1], float(shares[1])
    return "", float(shares[shares > 0].mean()) if shares.any() else 0.0


def _mean_of(per_row: Callable[[Floats, np.ndarray[Any, Any]], Floats]) -> Callable[..., Floats]:
    """Make the `statistics` of a mean over rows of a function of the probabilities and the true classes."""
    return mean_of(lambda predictions, true, _: per_row(probability_matrix(predictions), np.asarray(true, np.int64)))


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
    RankMetric("auroc", "Area under the ROC curve", areas(_roc_area), scale=log_odds(), pairs=True),
    RankMetric(
        "average_precision",
        "Average precision",
        areas(average_precision),
        unit="fraction",
        base_rate=share_of_positives,
        scale=log_odds(),
    ),
    _top(3),
    _top(5),
    Metric("brier", "Brier score (0 to 2)", _mean_of(brier), mean, "probabilities", "score", higher_is_better=False),
    Metric("log_loss", "Log loss", _mean_of(log_loss), mean, "probabilities", "score", higher_is_better=False),
)
METRICS = {metric.name: metric for metric in _ALL}
