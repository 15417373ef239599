"""Imbalanced classes: how strongly to adjust logits for the frequencies of classes.

    logits of the loss = logits + τ × log(share of each class in train)          (Menon et al. 2021, equation 10)

Trained with it and used without the second term, a model with τ = 1 finds rare classes as readily as frequent
ones, and one with τ = 0 has the highest accuracy. The linear probe decides on τ: its out-of-fold
logits for all rows are available anyway, while a hundred validation rows contain few of the rare class.

Source: Menon et al. 2021, "Long-tail learning via logit adjustment", sections 4.2 and 5.2.
"""

from typing import Any

import numpy as np

from toolkit.metrics.classification import class_counts, macro_f1

Doubles = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
_LEAST_SKEW = 1.5  # minimum ratio of the most frequent class to the rarest
_RESAMPLES = 400
_SURELY = 0.95  # of the resamples must have a higher macro F1


def log_shares(labels: Integers, classes: int) -> Doubles:
    """Return the logarithm of each class's share of the rows, with a row more for each class. Shape (C,)."""
    counts = np.bincount(labels[labels >= 0], minlength=classes) + 1.0
    shifts: Doubles = np.log(counts / counts.sum())
    return shifts


def choose(logits: Doubles, labels: Integers, seed: int) -> float:
    """Return the strength τ whose macro F1 is best, or 0 where none is significantly better without a loss of accuracy.

    A strength is taken where macro F1 rises in 95 % of bootstrap resamples, and accuracy falls by no more than one
    standard error.

    Args:
        logits: Of rows that the classifier was not trained on. Shape (N, C).
        labels: Numbers of their classes. Shape (N,).
        seed: Of the resamples.
    """
    classes = logits.shape[1]
    counts = np.bincount(labels, minlength=classes)
    if counts.max(initial=0) < _LEAST_SKEW * max(1, counts[counts > 0].min(initial=len(labels))):
        return 0.0
    shift = log_shares(labels, classes)
    plain = logits.argmax(axis=1)
    right = float((plain == labels).mean())
    slack = float(np.sqrt(right * (1 - right) / len(labels)))
    resamples = np.random.default_rng([seed, 4]).multinomial(
        len(labels), np.full(len(labels), 1 / len(labels)), _RESAMPLES
    )
    base, base_resampled = _resampled_f1(plain, labels, classes, resamples)
    best, best_value = 0.0, base
    for strength in STRENGTHS:
        predicted = (logits - strength * shift).argmax(axis=1)
        value, resampled = _resampled_f1(predicted, labels, classes, resamples)
        surely = float((resampled > base_resampled).mean()) >= _SURELY
        if value > best_value and surely and float((predicted == labels).mean()) >= right - slack:
            best, best_value = strength, value
    return best


def _resampled_f1(
    predicted: Integers, labels: Integers, classes: int, resamples: np.ndarray[Any, Any]
) -> tuple[float, Doubles]:
    """Return macro F1 of the rows (scalar) and of each resample (R,)."""
    counts = class_counts(predicted.tolist(), labels.tolist(), [str(number) for number in range(classes)])  # (N, 3 C)
    weights = np.concatenate([np.ones((1, len(labels))), resamples])  # (1 + R, N)
    values = macro_f1(weights @ counts)
    return float(values[0]), values[1:]
