"""Calibration: whether a model's confidence matches its accuracy, and the temperature that corrects it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import entities
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.intervals import Floats, Interval, bootstrap, wilson
from toolkit.evaluation.statistics.significance import holm
from toolkit.metrics.classification import membership
from toolkit.metrics.means import mean
from toolkit.metrics.probability import brier, log_loss, probability_matrix
from toolkit.tasks.spans import WORD_PROBABILITIES

BINS = 10
FOLDS = 10  # folds, each scaled by the temperature of the others
MISTAKES = 10  # wrong predictions that fitting a temperature needs
REDRAWS = 1000  # simulated draws of a perfectly calibrated model

Integers = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Outcomes:
    """How confident some decisions were, and whether they are right.

    Attributes:
        confidence: Probability of each decision. Shape (N,).
        right: 1 for a right one, 0 for a wrong one. Shape (N,).
        losses: Name of a loss → the loss of each: "brier" and "log_loss". Shape (N,).
    """

    confidence: Floats
    right: Floats
    losses: Mapping[str, Floats]


def of_classes(probabilities: Floats, true: Integers) -> Outcomes:
    """Return the outcomes of choosing the most probable class. Shapes (N, C) and (N,)."""
    losses = {"brier": brier(probabilities, true), "log_loss": log_loss(probabilities, true)}
    right = (probabilities.argmax(axis=1) == true).astype(np.float64)
    return Outcomes(probabilities.max(axis=1), right, losses)


def of_decisions(confidence: Floats, right: Floats) -> Outcomes:
    """Return the outcomes of decisions of which only the confidence is known. Shapes (N,) and (N,)."""
    given = np.where(right > 0, confidence, 1 - confidence)
    return Outcomes(confidence, right, {"brier": (1 - given) ** 2, "log_loss": -np.log(given.clip(1e-15))})


def section(
    probabilities: Sequence[Any],
    references: Sequence[int],
    config: EvaluationConfig,
    seed: int,
    temperature: float | None,
    fit: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the report's section on calibration of the classes of rows.

    Args:
        probabilities: Of each class, for each example. Shape (N, C).
        references: The true classes.
        config: Confidence and resamples.
        seed: Of the draws.
        temperature: By which the logits may be divided, fitted on other rows; None where there is none.
        fit: How it was fitted, or why there is none: `Fit.as_dict`.
    """
    probs, true = probability_matrix(probabilities), np.asarray(references, np.int64)
    at = None if temperature is None else of_classes(scaled(probs, temperature), true)
    return of_outcomes(of_classes(probs, true), at, config, seed, temperature, fit)


def of_outcomes(
    outcomes: Outcomes,
    scaled_outcomes: Outcomes | None,
    config: EvaluationConfig,
    seed: int,
    temperature: float | None,
    fit: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the report's section on calibration of any decisions.

    Args:
        outcomes: Of the decisions.
        scaled_outcomes: Of the same decisions at the temperature; None where there is none.
        config: Confidence and resamples.
        seed: Of the draws.
        temperature: By which the logits may be divided.
        fit: How it was fitted, or why there is none.
    """
    confidence, right = outcomes.confidence, outcomes.right
    result: dict[str, Any] = {
        "confidence": config.confidence,
        "mean_confidence": float(confidence.mean()),
        "accuracy": float(right.mean()),
        "bins": _bins(confidence, right, config.confidence),
        **_figures(outcomes, config, seed),
        "p": calibrated_p(confidence, right, seed),
        "temperature": temperature,
        "fit": fit,
    }
    if scaled_outcomes is not None:
        result["scaled"] = _figures(scaled_outcomes, config, seed)
    return result


def of_each_class(
    probabilities: Sequence[Any],
    references: Sequence[Sequence[int]],
    labels: Sequence[str],
    config: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """Return the report's section where a row has any number of classes: each is calibrated for itself.

    Args:
        probabilities: Of each class, for each example. Shape (N, C).
        references: Numbers of the true classes of each example.
        labels: Names of the classes.
        config: Confidence and resamples.
        seed: Of the draws.
    """
    probs, true = probability_matrix(probabilities), membership(references, len(labels)).astype(np.float64)
    redraws = REDRAWS * max(1, len(labels) // 5)  # the least p-value is 1 / redraws, and is multiplied by the classes
    adjusted = holm([calibrated_p(probs[:, c], true[:, c], seed, redraws) for c in range(len(labels))])
    errors = [calibration_error(probs[:, c], true[:, c], config.confidence, seed) for c in range(len(labels))]
    return {
        "confidence": config.confidence,
        "classes": [
            {
                "label": label,
                "mean_probability": float(probs[:, c].mean()),
                "share": float(true[:, c].mean()),
                "ece": _as_dict(errors[c]),
                "p": adjusted[c],
            }
            for c, label in enumerate(labels)
        ],
    }


def _figures(outcomes: Outcomes, config: EvaluationConfig, seed: int) -> dict[str, Any]:
    confidence, right = outcomes.confidence, outcomes.right
    error = calibration_error(confidence, right, config.confidence, seed)
    figures: dict[str, Any] = {"ece": _as_dict(error), "ece_plain": plain_error(confidence, right)}
    for name, losses in outcomes.losses.items():
        statistics = np.stack([losses, np.ones(len(losses))], axis=1)
        figures[name] = _as_dict(
            bootstrap(statistics, mean, confidence=config.confidence, resamples=config.resamples, seed=seed)
        )
    return figures


def _as_dict(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def bin_of(confidence: Floats) -> Integers:
    """Sort examples into ten bins with about as many examples each; equal confidences share a bin. Shape (N,)."""
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, confidence, side="right")


def _bins(confidence: Floats, right: Floats, level: float) -> list[dict[str, Any]]:
    number = bin_of(confidence)
    rows = []
    for members in (number == index for index in np.unique(number)):
        count = int(members.sum())
        accuracy = wilson(float(right[members].sum()), count, level)
        sure = float(confidence[members].mean())
        rows.append({"count": count, "confidence": sure, "accuracy": _as_dict(accuracy)})
    return rows


def _gaps(confidence: Floats, right: Floats, number: Integers) -> tuple[Floats, Floats, Floats]:
    """Return each bin's share of the examples, mean of confidence minus correctness, and that mean's standard error.

    A single example has no spread; its standard error is that of a calibrated prediction.
    """
    sizes = np.bincount(number).astype(np.float64)
    held = sizes > 0
    gap = confidence - right
    mean = np.bincount(number, gap)[held] / sizes[held]
    squares = np.bincount(number, gap**2)[held] / sizes[held] - mean**2
    spread = np.maximum(squares, 0) / np.maximum(sizes[held] - 1, 1)
    alone = np.bincount(number, confidence * (1 - confidence))[held]
    return sizes[held] / len(gap), mean, np.sqrt(np.where(sizes[held] > 1, spread, alone))


def plain_error(confidence: Floats, right: Floats) -> float:
    """Return the expected calibration error as it is usually computed (Guo et al. 2017, equation 3), biased upward."""
    share, gap, _ = _gaps(confidence, right, bin_of(confidence))
    return float((share * np.abs(gap)).sum())


def calibration_error(confidence: Floats, right: Floats, level: float, seed: int) -> Interval:
    """Return the expected calibration error without most of its bias, and an interval.

    A bin's gap is never exactly zero by chance, so the plain error of a perfect model is above zero. Taking each gap to
    be normal with the standard error of its bin, that excess can be computed and subtracted (after Kumar, Liang and Ma
    2019, "Verified Uncertainty Calibration"); of large errors it subtracts a little too much. The interval goes from
    the corrected error minus to the plain error plus the usual multiple of the standard error. It begins at zero unless
    perfect calibration is rejected by `calibrated_p`, since near zero the normal approximation does not hold. By
    simulation its coverage of the true error of these bins is about the nominal level or higher.

    Args:
        confidence: Probability of the predicted class, or of one class. Shape (N,).
        right: Whether the prediction is right, or the class true, 1 or 0. Shape (N,).
        level: Confidence of the interval, for example 0.95.
        seed: Of the redraws.
    """
    share, gap, error = _gaps(confidence, right, bin_of(confidence))
    size, safe = np.abs(gap), np.maximum(error, 1e-12)
    below = np.array([NormalDist().cdf(-z) for z in size / safe])
    folded = safe * math.sqrt(2 / math.pi) * np.exp(-((size / safe) ** 2) / 2) + size * (1 - 2 * below)
    plain = float((share * size).sum())
    value = max(0.0, plain - float((share * (folded - size)).sum()))
    spread = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(float(((share * error) ** 2).sum()))
    clear = calibrated_p(confidence, right, seed) < 1 - level
    return Interval(value, max(0.0, value - spread) if clear else 0.0, min(1.0, plain + spread))


def calibrated_p(confidence: Floats, right: Floats, seed: int, redraws: int = REDRAWS) -> float:
    """Return the probability of a plain error at least as large for a perfectly calibrated model.

    By simulating how many predictions of each bin are right (Bröcker and Smith 2007, "Increasing the Reliability of
    Reliability Diagrams"); that number is a sum of independent events of known probabilities.
    """
    random = np.random.default_rng(seed)
    number = bin_of(confidence)
    observed, drawn = 0.0, np.zeros(redraws)
    for members in (number == index for index in np.unique(number)):
        expected = confidence[members].sum()
        observed += abs(expected - right[members].sum())
        below = np.cumsum(sum_distribution(confidence[members]))
        counts = np.searchsorted(below[:-1], random.random(redraws), side="right")
        drawn += np.abs(expected - counts)
    return float((1 + (drawn >= observed - 1e-9).sum()) / (1 + redraws))


def sum_distribution(probabilities: Floats) -> Floats:
    """Return the probability of each number of events among independent ones. (N,) → (N + 1,).

    The distributions of neighbours are joined in pairs by convolution until one is left: N log² N operations.
    """
    count = len(probabilities)
    padded = np.concatenate([probabilities, np.zeros((1 << max(0, count - 1).bit_length()) - count)])
    joined = np.stack([1 - padded, padded], axis=1)  # (a power of two, 2)
    while len(joined) > 1:
        size = 2 * joined.shape[1] - 1
        spectrum = np.fft.rfft(joined, size, axis=1)
        joined = np.maximum(np.fft.irfft(spectrum[::2] * spectrum[1::2], size, axis=1), 0.0)
    result: Floats = joined[0, : count + 1]
    return result


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
    probabilities: Any, truth: Any, confidence: float, seed: int, fitted_on: str, groups: Any = None
) -> dict[str, Any]:
    """Return what is stored with a model of a temperature that is fitted to rows, as of `choose_temperature`.

    Args:
        probabilities: Of each class, for each row. Shape (N, C).
        truth: The true classes.
        confidence: Of the interval.
        seed: Decides which rows are scaled together.
        fitted_on: What the rows are.
        groups: Number of the group of each row, such as the sentence of a word; None where each is its own.
    """
    fit = choose_temperature(probabilities, truth, confidence, seed, groups)
    facts: dict[str, Any] = {"fitted_on": fitted_on, "rows": fit.rows, "fit": fit.as_dict()}
    return {**facts, "temperature": fit.temperature} if fit.kept else facts


def choose_temperature(
    probabilities: Sequence[Any] | Floats,
    references: Sequence[int] | Integers,
    confidence: float,
    seed: int,
    groups: Integers | None = None,
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
        groups: Number of the group of each row, from 0, such as the sentence of a word; the rows of a group depend on
            each other, so they are scaled together and count as one observation. None where each row is its own.
    """
    probs, true = probability_matrix(probabilities), np.asarray(references, np.int64)
    rows, right = len(true), (probs.argmax(axis=1) == true).astype(np.float64)
    wrong = rows - int(right.sum())
    temperature = fit_temperature(probs, true)
    if temperature is None or wrong < MISTAKES:
        reason = f"only {wrong} of these rows are predicted wrongly; at least {MISTAKES} are needed"
        return Fit(rows, temperature, None, False, reason)
    group = np.arange(rows) if groups is None else groups
    number = (np.random.default_rng(seed).permutation(int(group.max()) + 1) % FOLDS)[group]
    held_out = probs.copy()
    for inside in (number == fold for fold in range(FOLDS)):
        fitted = fit_temperature(probs[~inside], true[~inside])
        if fitted is not None:
            held_out[inside] = scaled(probs[inside], fitted)
    saved = log_loss(probs, true) - log_loss(held_out, true)
    middle, error = float(saved.mean()), _standard_error(saved, group)
    spread = NormalDist().inv_cdf(0.5 + confidence / 2) * error
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


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    settings, temperature = context.config.evaluation, context.temperature
    if context.task.labels_words:
        return _of_entities(context)
    probabilities = context.columns.get("probabilities")
    if probabilities is None:
        return None
    if context.task.several:
        return of_each_class(probabilities, context.references, context.labels, settings, context.seed)
    return section(probabilities, context.references, settings, context.seed, temperature, context.fit)


def _of_entities(context: EvaluationContext) -> dict[str, Any] | None:
    """Return the section on predicted entities; the temperature is that of the words' probabilities."""
    rows, temperature = context.columns.get(WORD_PROBABILITIES), context.temperature
    plain = None if rows is None else entities.outcomes(context, rows)
    if rows is None or plain is None:
        return None
    at = None
    if temperature is not None:
        at = entities.outcomes(context, [at_temperature(words, temperature) for words in rows])
    result = of_outcomes(
        of_decisions(*plain),
        None if at is None else of_decisions(*at),
        context.config.evaluation,
        context.seed,
        temperature,
        context.fit,
    )
    return {"unit": entities.UNIT, **result}


CHECK = Check("calibration", _run, applies=lambda task: task.labelled is not None)
