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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class LabelNoise:
    """The estimated share of wrong labels.

    Attributes:
        rate: The most likely share.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: Probability of labels that contradict the model as much where no more than `TOLERATED` are wrong.
        temperatures: The best temperature at `rate`, `low` and `high`.
    """

    rate: float
    low: float
    high: float
    p: float
    temperatures: tuple[float, float, float]

    def posteriors(self, probabilities: Sequence[Any] | Floats, references: Sequence[int] | Integers) -> Any:
        """Return the probability that each label was drawn by mistake, at the most likely share. Shape (N,).

        Args:
            probabilities: Of each class, for each example, from a model that did not see it. Shape (N, C).
            references: The labels.
        """
        probs, labels = probability_matrix(probabilities), np.asarray(references, np.int64)
        return _mistaken(probs, labels, self.rate, self.temperatures[0])

    def facts(
        self, probabilities: Sequence[Any] | Floats, references: Sequence[int] | Integers, suspects: Sequence[int]
    ) -> dict[str, Any]:
        """Return the estimate as JSON, with what is expected of suspect labels.

        Args:
            probabilities: Of each class, for each example. Shape (N, C).
            references: The labels.
            suspects: Rows of suspect labels.

        Returns:
            "rate", "low", "high" and "p"; and "precision", the expected share of wrong labels among the suspects, which
            is the mean posterior probability, as "value", "low" and "high", those at the interval's ends; None without
            suspects.
        """
        precision = None
        if suspects:
            rows = list(suspects)
            own = probability_matrix(probabilities)[rows], np.asarray(references, np.int64)[rows]
            rates = zip(("value", "low", "high"), (self.rate, self.low, self.high), self.temperatures, strict=True)
            precision = {name: float(_mistaken(*own, rate, degree).mean()) for name, rate, degree in rates}
        return {"rate": self.rate, "low": self.low, "high": self.high, "p": self.p, "precision": precision}


def estimated(
    probabilities: Sequence[Any] | Floats, references: Sequence[int] | Integers, clusters: Integers | None = None
) -> LabelNoise | None:
    """Estimate the share of wrong labels, and test whether it is above `TOLERATED`; None on fewer than `LEAST` rows.

    A rate is in the interval if the likelihood ratio does not reject it (profile likelihood).

    Args:
        probabilities: Of each class, for each example, from a model that did not see it. Shape (N, C).
        references: The labels.
        clusters: Number of each example's cluster; None where examples are independent. Shape (N,). The likelihood
            ratio is then divided by the design effect of its terms (Rao and Scott 1984, "On Chi-Squared Tests for
            Multiway Contingency Tables with Cell Proportions Estimated from Survey Data").
    """
    probs, labels = probability_matrix(probabilities), np.asarray(references, np.int64)
    if len(labels) < LEAST or probs.shape[1] < 2:
        return None
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
    places = (best, int(within[0]), int(within[-1]))
    rate, low, high = (float(_RATES[place]) for place in places)
    first, second, third = (float(_TEMPERATURES[temperatures[place]]) for place in places)
    return LabelNoise(rate, low, high, p, (first, second, third))


def noise(
    probabilities: Sequence[Any] | Floats,
    references: Sequence[int] | Integers,
    clusters: Integers | None = None,
    suspects: Sequence[int] = (),
) -> dict[str, Any] | None:
    """Return `LabelNoise.facts` of `estimated`; None on fewer than `LEAST` rows."""
    found = estimated(probabilities, references, clusters)
    return None if found is None else found.facts(probabilities, references, suspects)


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
