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

from toolkit.evaluation.statistics.clusters import Floats, Integers, kept
from toolkit.metrics.probability import probability_matrix

TOLERATED = 0.03  # usual share of wrong labels, which mistakes of the model alone may imitate
LEVEL = 0.01  # probability of a false alarm
LEAST = 100  # rows
MOST = 5000  # maximum number of rows
_TEMPERATURES = np.exp(np.linspace(-2.5, 3.5, 41))
LARGEST = 0.4  # share of wrong labels that is tried
_RATES = np.round(np.arange(0, LARGEST + 0.01, 0.01), 2)  # TOLERATED among them
_WITHIN = 3.841  # twice the log likelihood that a rate in a 95 % interval may lose: chi-squared of one degree


def noise(
    probabilities: Sequence[Any] | Floats,
    references: Sequence[int] | Integers,
    clusters: Integers | None = None,
    suspects: Sequence[int] = (),
) -> dict[str, Any] | None:
    """Estimate the share of wrong labels, and test whether it is above `TOLERATED`.

    A rate is in the interval if the likelihood ratio does not reject it (profile likelihood). Of suspect labels, the
    expected share of wrong ones is the mean posterior probability that a label was drawn by mistake.

    Args:
        probabilities: Of each class, for each example, from a model that did not see it. Shape (N, C).
        references: The labels.
        clusters: Number of each example's cluster; None where examples are independent. Shape (N,). The likelihood
            ratio is then divided by the design effect of its terms (Rao and Scott 1984, "On Chi-Squared Tests for
            Multiway Contingency Tables with Cell Proportions Estimated from Survey Data").

        suspects: Rows of suspect labels.

    Returns:
        "rate", the most likely share, with "low" and "high" of its 95 % interval; "p", the probability of labels that
        contradict the model as much where no more than `TOLERATED` are wrong; and "precision", the expected share of
        wrong labels among the suspects as "value", "low" and "high", those of the interval's ends; None without
        suspects. None on fewer than `LEAST` rows.
    """
    probs, labels = probability_matrix(probabilities), np.asarray(references, np.int64)
    if len(labels) < LEAST or probs.shape[1] < 2:
        return None
    own = (probs[list(suspects)], labels[list(suspects)])
    if len(labels) > MOST:
        chosen = np.random.default_rng(0).choice(len(labels), MOST, replace=False)
        probs, labels, clusters = probs[chosen], labels[chosen], kept(clusters, chosen)
    by_temperature = _losses(probs, labels)
    losses = by_temperature.min(axis=0)
    best, usual = int(losses.argmin()), int(losses[_RATES <= TOLERATED].argmin())
    ratios = 2 * (losses - losses[best])
    temperatures: Any = by_temperature.argmin(axis=0)
    if clusters is not None:
        other = usual if usual != best else best + 5 if best + 5 < len(_RATES) else best - 5
        ratios = ratios / _design_effect(probs, labels, clusters, (other, best), temperatures)
    p = 0.5 * math.erfc(math.sqrt(float(ratios[usual]) / 2)) if _RATES[best] > TOLERATED else 1.0
    within = np.flatnonzero(ratios <= _WITHIN)
    ends: dict[str, int] = {"value": best, "low": int(within[0]), "high": int(within[-1])}
    precision = None
    if suspects:
        precision = {
            name: float(_mistaken(*own, float(_RATES[rate]), float(_TEMPERATURES[temperatures[rate]])).mean())
            for name, rate in ends.items()
        }
    rates = {"rate": float(_RATES[best]), "low": float(_RATES[ends["low"]]), "high": float(_RATES[ends["high"]])}
    return {**rates, "p": p, "precision": precision}


def posteriors(probabilities: Sequence[Any] | Floats, references: Sequence[int] | Integers, rate: float) -> Any:
    """Return the probability that each label was drawn by mistake, at a rate of such labels. Shape (N,).

    Args:
        probabilities: Of each class, for each example, from a model that did not see it. Shape (N, C).
        references: The labels.
        rate: From `noise`; the temperature is the best at this rate.
    """
    probs, labels = probability_matrix(probabilities), np.asarray(references, np.int64)
    some = slice(None, None, max(1, len(labels) // MOST))
    column = int(np.argmin(np.abs(_RATES - rate)))
    best = int(_losses(probs[some], labels[some])[:, column].argmin())
    return _mistaken(probs, labels, rate, float(_TEMPERATURES[best]))


def _mistaken(probabilities: Any, labels: Any, rate: float, temperature: float) -> Any:
    """Return the probability that each label was drawn by mistake, at a rate of such labels. Shape (N,)."""
    given = _given(probabilities, labels, temperature)
    wrong = rate * (1 - given) / (probabilities.shape[1] - 1)
    return wrong / np.maximum(wrong + (1 - rate) * given, 1e-12)


def _design_effect(
    probabilities: Any, labels: Any, clusters: Integers, rates: tuple[int, int], temperatures: Any
) -> float:
    """Return by how much clusters increase the variance of the likelihood ratio of two rates, at least 1."""
    first, second = (_terms(probabilities, labels, _TEMPERATURES[temperatures[rate]])[:, rate] for rate in rates)
    terms = first - second - (first - second).mean()
    return max(1.0, float((np.bincount(clusters, terms) ** 2).sum() / max((terms**2).sum(), 1e-12)))


def _losses(probabilities: Any, labels: Any) -> Any:
    """Return the negative log likelihood of the labels at each temperature and rate of noise. Shape (T, R)."""
    return np.array([_terms(probabilities, labels, temperature).sum(axis=0) for temperature in _TEMPERATURES])


def _terms(probabilities: Any, labels: Any, temperature: float) -> Any:
    """Return what each label adds to it. Shape (N, R)."""
    given = _given(probabilities, labels, temperature)[:, None]  # (N, 1)
    mixed = (1 - _RATES) * given + _RATES * (1 - given) / (probabilities.shape[1] - 1)
    return -np.log(mixed.clip(1e-12))


def _given(probabilities: Any, labels: Any, temperature: float) -> Any:
    """Return the probability of each label at a temperature. Shape (N,)."""
    logits = np.log(probabilities.clip(1e-12))
    logits -= logits.max(axis=1, keepdims=True)
    scaled = np.exp(logits / temperature)
    return scaled[np.arange(len(labels)), labels] / scaled.sum(axis=1)
