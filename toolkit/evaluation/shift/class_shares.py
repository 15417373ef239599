"""The shares of the classes in rows without labels, estimated from the predictions.

A model that errs the same way on each class predicts in the new rows a mixture of what it predicts for reference rows
of each class; the weights of that mixture are the shares. They are found by expectation maximisation, so that they are
probabilities, where inverting the confusion matrix may leave negative ones. The assumption is that only the shares have
changed, not what the rows of a class look like.

Source: Saerens, Latinne and Decaestecker 2002, "Adjusting the Outputs of a Classifier to New a Priori Probabilities";
with predicted classes in the place of probabilities, which need no calibration, Lipton, Wang and Smola 2018, "Detecting
and Correcting for Label Shift with Black Box Predictors", and Garg et al. 2020, "A Unified View of Label Shift
Estimation".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.evaluation.statistics import clusters as clusters_
from toolkit.evaluation.statistics.clusters import Floats, Integers
from toolkit.evaluation.statistics.intervals import Interval, resampled_sums

LEAST_ROWS = 10  # reference rows of each class
MOST_CLASSES = 50
_STEPS = 1000
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Predicted:
    """Predicted classes of some rows.

    Attributes:
        classes: Number of the class of each row. Shape (N,).
        clusters: Number of each row's group; None where rows are independent. Shape (N,).
    """

    classes: Integers
    clusters: Integers | None = None


def refusal(truth: Integers, labels: Sequence[str]) -> str:
    """Return why shares cannot be estimated with these reference rows, as a sentence; "" where they can."""
    if len(labels) > MOST_CLASSES:
        return f"There are {len(labels)} classes, and estimates are made for at most {MOST_CLASSES}."
    counts = np.bincount(truth, minlength=len(labels))
    least = int(counts.argmin())
    if counts[least] < LEAST_ROWS:
        return f"“{labels[least]}” has {counts[least]} held-out rows, and {LEAST_ROWS} of each class are needed."
    return ""


def estimated(
    truth: Integers, reference: Predicted, new: Predicted, classes: int, *, confidence: float, resamples: int, seed: int
) -> list[Interval]:
    """Return the share of each class among the new rows, with bootstrap intervals over both sides.

    Args:
        truth: Class of each reference row. Shape (N,).
        reference: Predictions for the reference rows.
        new: Predictions for the new rows.
        classes: How many there are, C.
        confidence: For example 0.95.
        resamples: Bootstrap samples.
        seed: Of the draws.
    """
    pairs = _one_hot(truth * classes + reference.classes, classes**2)
    counts = _one_hot(new.classes, classes)
    drawn_pairs = resampled_sums(clusters_.sums(pairs, reference.clusters), resamples, seed)
    drawn_counts = resampled_sums(clusters_.sums(counts, new.clusters), resamples, seed + 1)
    joint = np.concatenate([pairs.sum(axis=0)[None], drawn_pairs]).reshape(-1, classes, classes)
    shares = _maximised(joint, np.concatenate([counts.sum(axis=0)[None], drawn_counts]))
    tail = (1 - clusters_.widened(confidence, new.clusters)) / 2
    low, high = np.quantile(shares[1:], [tail, 1 - tail], axis=0)
    return [
        Interval(float(value), min(float(value), float(below)), min(1.0, max(float(value), float(above))))
        for value, below, above in zip(shares[0], low, high, strict=True)
    ]


def _one_hot(numbers: Integers, width: int) -> Floats:
    columns = np.zeros((len(numbers), width))
    columns[np.arange(len(numbers)), numbers] = 1.0
    return columns


def _maximised(joint: Floats, counts: Floats) -> Floats:
    """Return the shares of greatest likelihood. (B, C true, C predicted) and (B, C predicted) → (B, C).

    One row of each class is spread over all predictions, so that none has the probability 0.
    """
    classes = counts.shape[1]
    likely = joint + 1 / classes
    likely /= likely.sum(axis=2, keepdims=True)
    observed = counts / counts.sum(axis=1, keepdims=True)
    shares = np.full_like(counts, 1 / classes)
    for _ in range(_STEPS):
        mixture = np.einsum("bi,bij->bj", shares, likely)
        updated = shares * np.einsum("bij,bj->bi", likely, observed / mixture)
        done = float(np.abs(updated - shares).max()) < _TOLERANCE
        shares = updated
        if done:
            break
    return shares
