"""The temperature that corrects a model's probabilities."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.calibration_error import plain_error
from toolkit.evaluation.statistics.clusters import Integers, quantile
from toolkit.evaluation.statistics.intervals import Floats, Interval
from toolkit.metrics.probability import log_loss, probability_matrix

FOLDS = 10  # folds, each scaled by the temperature of the others
MISTAKES = 10  # wrong predictions that fitting a temperature needs


def fit_temperature(probabilities: Sequence[Any] | Floats, references: Sequence[int] | Integers) -> float | None:
    """Return the temperature T at which softmax(logits / T) has the least log loss (Guo et al. 2017, section 4.2).

    Logits are known up to a constant as the logarithms of the probabilities, and a constant changes nothing. The loss
    is convex in 1 / T, so its derivative is followed by bisection.

    Args:
        probabilities: Of each class, for each example. Shape (N, C).
        references: The true classes.

    Returns:
        Between 0.05 and 20; None where every prediction is right, since the loss then has no minimum.
    """
    logits = np.log(np.maximum(probability_matrix(probabilities), 1e-300))
    true = np.asarray(references, np.int64)
    own = logits[np.arange(len(true)), true]
    if (own == logits.max(axis=1)).all():
        return None

    def slope(inverse: float) -> float:
        """Derivative of the loss by 1 / T: the mean logit under the model minus that of the truth."""
        weights = np.exp(inverse * (logits - logits.max(axis=1, keepdims=True)))
        expected = (weights * logits).sum(axis=1) / weights.sum(axis=1)
        return float((expected - own).mean())

    low, high = 0.05, 20.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / math.sqrt(low * high)


@dataclass(frozen=True)
class Fit:
    """A temperature fitted on some rows, and its effect on rows that it was not fitted on.

    Attributes:
        rows: How many rows it was fitted on.
        temperature: The fitted value; None where there is none.
        gain: Mean reduction of the log loss on rows that it was not fitted on; None where there is none.
        kept: Whether that is significant.
        reason: Why it is kept or not.
    """

    rows: int
    temperature: float | None
    gain: Interval | None
    kept: bool
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as the model's card and the report hold it."""
        return asdict(self)


def fitted(
    probabilities: Any,
    truth: Any,
    confidence: float,
    seed: int,
    fitted_on: str,
    sentences: Integers | None = None,
    clusters: Integers | None = None,
) -> dict[str, Any]:
    """Return what is stored with a model of a temperature that is fitted to rows, as of `choose_temperature`.

    Args:
        probabilities: Of each class, for each row. Shape (N, C).
        truth: The true classes.
        confidence: Of the interval.
        seed: Decides which rows are scaled together.
        fitted_on: What the rows are.
        sentences: As of `choose_temperature`.
        clusters: As of `choose_temperature`.
    """
    fit = choose_temperature(probabilities, truth, confidence, seed, sentences, clusters)
    facts: dict[str, Any] = {"fitted_on": fitted_on, "rows": fit.rows, "fit": fit.as_dict()}
    return {**facts, "temperature": fit.temperature} if fit.kept else facts


def choose_temperature(
    probabilities: Sequence[Any] | Floats,
    references: Sequence[int] | Integers,
    confidence: float,
    seed: int,
    sentences: Integers | None = None,
    clusters: Integers | None = None,
) -> Fit:
    """Fit a temperature, and test by cross-validation whether it helps on other rows.

    A temperature that was fitted on few rows overfits, and harms a calibrated model. So each
    tenth of the rows is scaled by the temperature of the others, and the temperature of all is kept if that lowers the
    log loss significantly (the interval of the mean over the rows lies above zero) and does not raise
    the calibration error. Where few rows are wrong the interval does not hold, and none is kept.

    Args:
        probabilities: Of each class, for each row. Shape (N, C).
        references: The true classes.
        confidence: Of the interval.
        seed: Decides which rows are scaled together.
        sentences: Number of the sentence of each row, a word, from 0; the words of a sentence depend on each other, so
            they are scaled together and count as one observation. None where rows are examples.
        clusters: Number of each row's cluster, which is treated alike; clusters may be few, so the interval is then
            Student's. None where examples are independent.
    """
    probs, true = probability_matrix(probabilities), np.asarray(references, np.int64)
    rows, right = len(true), (probs.argmax(axis=1) == true).astype(np.float64)
    wrong = rows - int(right.sum())
    temperature = fit_temperature(probs, true)
    if temperature is None or wrong < MISTAKES:
        reason = f"only {wrong} of these rows are predicted wrongly; at least {MISTAKES} are needed"
        return Fit(rows, temperature, None, False, reason)
    group = next((numbers for numbers in (clusters, sentences) if numbers is not None), np.arange(rows))
    number = (np.random.default_rng(seed).permutation(int(group.max()) + 1) % FOLDS)[group]
    held_out = probs.copy()
    for inside in (number == fold for fold in range(FOLDS)):
        fitted = fit_temperature(probs[~inside], true[~inside])
        if fitted is not None:
            held_out[inside] = scaled(probs[inside], fitted)
    saved = log_loss(probs, true) - log_loss(held_out, true)
    middle, error = float(saved.mean()), _standard_error(saved, group)
    spread = quantile(confidence, clusters) * error
    gain = Interval(middle, middle - spread, middle + spread)
    before, after = (plain_error(part.max(axis=1), right) for part in (probs, held_out))
    if gain.low <= 0:
        reason = "in cross-validation it does not lower the log loss significantly"
    elif after > before:
        reason = "in cross-validation it raises the calibration error"
    else:
        return Fit(rows, temperature, gain, True, "it lowers the log loss in cross-validation")
    return Fit(rows, temperature, gain, False, reason)


def _standard_error(values: Floats, group: Integers) -> float:
    """Return the standard error of a mean over values that depend on each other within groups. Shapes (N,) and (N,)."""
    sums = np.bincount(group, values - values.mean())
    count = len(np.unique(group))
    return float(np.sqrt((sums**2).sum() * count / (count - 1)) / len(values)) if count > 1 else math.inf


def scaled(probabilities: Floats, temperature: float) -> Floats:
    """Return the probabilities at another temperature. Shape (N, C)."""
    powers = np.log(np.maximum(probabilities, 1e-300)) / temperature
    weights = np.exp(powers - powers.max(axis=1, keepdims=True))
    result: Floats = weights / weights.sum(axis=1, keepdims=True)
    return result


def at_temperature(probabilities: Sequence[Any], temperature: float) -> list[Any]:
    """Return the probabilities of one row, or of each of its words, at another temperature.

    Args:
        probabilities: Of each class, shape (C,); or a list of these, or None, for each word.
        temperature: By which the logits are divided.
    """
    if probabilities and (probabilities[0] is None or isinstance(probabilities[0], Sequence | np.ndarray)):
        return [None if word is None else at_temperature(word, temperature) for word in probabilities]
    changed: list[Any] = scaled(np.asarray([probabilities], np.float64), temperature)[0].tolist()
    return changed
