"""Whether more labels are wrong than usual: the share of the labels that contradicts the model.

A model that is calibrated up to its temperature is wrong as often as its confidence implies, however confident it
is. Wrong labels add mistakes that the confidence does not explain, also for the most confident predictions. So
two models of the labels are compared on held-out rows: the probabilities p at the best temperature, mixed with labels
drawn by mistake among the other classes, (1 - e) p + e (1 - p) / (C - 1), with e at most `TOLERATED` and with any e.

Source: a likelihood ratio test at the edge of a parameter's range, Self and Liang 1987, "Asymptotic Properties of
Maximum Likelihood Estimators and Likelihood Ratio Tests Under Nonstandard Conditions", case 5; the noise is that of
Natarajan et al. 2013, "Learning with Noisy Labels".
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.metrics.probability import probability_matrix

TOLERATED = 0.03  # usual share of wrong labels, which mistakes of the model alone may imitate
LEVEL = 0.01  # probability of a false alarm
LEAST = 100  # rows
MOST = 5000  # maximum number of rows
_TEMPERATURES = np.exp(np.linspace(-2.5, 3.5, 41))
_RATES = np.array([0.0, 0.01, 0.02, TOLERATED, 0.04, 0.05, 0.07, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4])


def noise(probabilities: Sequence[Any], references: Sequence[int]) -> dict[str, Any] | None:
    """Estimate the share of wrong labels, and test whether it is above `TOLERATED`.

    Args:
        probabilities: Of each class, for each example, from a model that did not see it. Shape (N, C).
        references: The labels.

    Returns:
        "rate", the most likely share among those tested, and "p", the probability of labels that contradict the model
        as much where no more than `TOLERATED` are wrong; None on fewer than `LEAST` rows.
    """
    probs, labels = probability_matrix(probabilities), np.asarray(references, np.int64)
    if len(labels) < LEAST or probs.shape[1] < 2:
        return None
    if len(labels) > MOST:
        chosen = np.random.default_rng(0).choice(len(labels), MOST, replace=False)
        probs, labels = probs[chosen], labels[chosen]
    losses = _losses(probs, labels)
    best, tolerated = int(losses.argmin()), losses[_RATES <= TOLERATED].min()
    ratio = max(0.0, 2 * float(tolerated - losses[best]))
    p = 0.5 * math.erfc(math.sqrt(ratio / 2)) if _RATES[best] > TOLERATED else 1.0
    return {"rate": float(_RATES[best]), "p": p}


def _losses(probabilities: Any, labels: Any) -> Any:
    """Return the negative log likelihood of the labels at each rate of noise, at its best temperature. Shape (R,)."""
    rows, others = np.arange(len(labels)), probabilities.shape[1] - 1
    logits = np.log(probabilities.clip(1e-12))
    logits -= logits.max(axis=1, keepdims=True)
    losses = []
    for temperature in _TEMPERATURES:
        scaled = np.exp(logits / temperature)
        given = (scaled[rows, labels] / scaled.sum(axis=1))[:, None]  # (N, 1)
        mixed = (1 - _RATES) * given + _RATES * (1 - given) / others
        losses.append(-np.log(mixed.clip(1e-12)).sum(axis=0))
    return np.min(losses, axis=0)
