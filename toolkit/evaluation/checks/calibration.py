"""Calibration: whether a model's confidence matches its accuracy, without and with a temperature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import entities
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.calibration_error import (
    REDRAWS,
    Integers,
    bin_of,
    calibrated_p,
    calibration_error,
    plain_error,
)
from toolkit.evaluation.statistics.intervals import Floats, Interval, bootstrap, wilson
from toolkit.evaluation.statistics.significance import holm
from toolkit.evaluation.statistics.temperature import at_temperature, scaled
from toolkit.metrics.classification import membership
from toolkit.metrics.means import mean
from toolkit.metrics.probability import brier, log_loss, probability_matrix
from toolkit.tasks.spans import WORD_PROBABILITIES


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


def _bins(confidence: Floats, right: Floats, level: float) -> list[dict[str, Any]]:
    number = bin_of(confidence)
    rows = []
    for members in (number == index for index in np.unique(number)):
        count = int(members.sum())
        accuracy = wilson(float(right[members].sum()), count, level)
        sure = float(confidence[members].mean())
        rows.append({"count": count, "confidence": sure, "accuracy": _as_dict(accuracy)})
    return rows


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
