"""The accuracy on rows without labels, estimated from how confident the model is.

    validation rows → accuracy at each confidence → the mean of it over the confidences of the new rows

It holds as far as predictions of one confidence are as often right on new rows as on validation rows: where new rows
are harder and the model is less sure of them. It fails where the model is wrong and sure: unknown classes, a changed
meaning of the labels, inputs unlike any in training.

Source: Guillory et al. 2021, "Predicting with Confidence on Unseen Distributions" (difference of confidences), here of
confidences that isotonic regression has calibrated (Zadrozny and Elkan 2002, "Transforming Classifier Scores into
Accurate Multiclass Probability Estimates"). In simulations of harder and easier rows its error was 1 point where that
of a threshold on confidence (Garg et al. 2022) was 3 to 16, and it needs no calibrated model.
"""

from dataclasses import dataclass

import numpy as np

from toolkit.evaluation.statistics import clusters as clusters_
from toolkit.evaluation.statistics.clusters import Floats, Integers
from toolkit.evaluation.statistics.intervals import Interval, wilson


@dataclass(frozen=True)
class Decisions:
    """Decisions of a model: of rows, or of the words of rows.

    Attributes:
        confidence: The probability of each. Shape (D,).
        right: Whether each is right, as 1 and 0; None where that is not known. Shape (D,).
        clusters: Number of the row or group of each; None where they are independent. Shape (D,).
        rows: Number of the row of each; None where each is a row. Shape (D,).
    """

    confidence: Floats
    right: Floats | None = None
    clusters: Integers | None = None
    rows: Integers | None = None

    @property
    def units(self) -> int:
        """Number of independent ones among them."""
        return len(self.confidence) if self.clusters is None else clusters_.count(self.clusters)


def estimated(known: Decisions, new: Decisions, *, confidence: float, resamples: int, seed: int) -> Interval:
    """Return the accuracy of the new decisions, with a bootstrap interval over both.

    Args:
        known: Decisions of which is known whether they are right.
        new: Those of which it is not.
        confidence: For example 0.95.
        resamples: Bootstrap samples.
        seed: Of the draws.
    """
    if known.right is None:
        raise ValueError("the first decisions must be known to be right or wrong")
    levels, place = np.unique(known.confidence, return_inverse=True)
    random = np.random.default_rng([seed, 13])
    values = []
    for draw in range(resamples + 1):
        weights = _weights(len(place), known.clusters, random if draw else None)
        ours = _weights(len(new.confidence), new.clusters, random if draw else None)
        counts, right = (np.bincount(place, each).astype(np.float64) for each in (weights, weights * known.right))
        values.append(_mean(levels, counts, right, new.confidence, ours))
    level = min(clusters_.widened(confidence, known.clusters), clusters_.widened(confidence, new.clusters))
    tail = (1 - max(level, confidence)) / 2
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    least = wilson(values[0] * new.units, new.units, confidence)  # where nothing varies in resamples
    return Interval(values[0], min(float(low), least.low), max(float(high), least.high))


def mean_confidence(decisions: Decisions, confidence: float) -> Interval:
    """Return the mean confidence with its interval."""
    values = decisions.confidence
    mean = float(values.mean())
    statistics = np.stack([values, np.ones_like(values)], axis=1)
    error = clusters_.standard_error(statistics, lambda sums: sums[..., 0] / sums[..., 1], decisions.clusters)
    arm = 0.0 if np.isnan(error) else error * clusters_.quantile(confidence, decisions.clusters)
    return Interval(mean, max(0.0, mean - arm), min(1.0, mean + arm))


def _weights(size: int, clusters: Integers | None, random: np.random.Generator | None) -> Floats:
    """Return how often each decision is in a bootstrap sample of decisions or groups; once without a draw. (size,)."""
    if random is None:
        return np.ones(size)
    units = size if clusters is None else clusters_.count(clusters)
    weights = np.bincount(random.integers(units, size=units), minlength=units).astype(np.float64)
    return weights if clusters is None else weights[clusters]


def _mean(levels: Floats, counts: Floats, right: Floats, confidences: Floats, weights: Floats) -> float:
    """Return the weighted mean of confidences that isotonic regression has calibrated.

    Args:
        levels: Different confidences of the known decisions, ascending. Shape (L,).
        counts: Weight of the decisions with each. Shape (L,).
        right: That of the right ones among them. Shape (L,).
        confidences: Of the new decisions. Shape (D,).
        weights: Of these. Shape (D,).
    """
    from scipy.optimize import isotonic_regression

    kept = counts > 0
    fitted = isotonic_regression(right[kept] / counts[kept], weights=counts[kept]).x
    return float(np.interp(confidences, levels[kept], fitted) @ weights / weights.sum())
