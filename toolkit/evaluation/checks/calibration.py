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
    bin_of,
    calibrated_p,
    calibration_error,
    equal_width_error,
    mean_gap,
    plain_error,
)
from toolkit.evaluation.statistics.clusters import Integers, kept
from toolkit.evaluation.statistics.intervals import Floats, Interval, bootstrap, share
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
        clusters: Number of each decision's cluster; None where decisions are independent. Shape (N,).
        brier_scale: The largest Brier score: 2 where it is a sum over classes, 1 of one decision.
    """

    confidence: Floats
    right: Floats
    losses: Mapping[str, Floats]
    clusters: Integers | None = None
    brier_scale: int = 1


def of_classes(probabilities: Floats, true: Integers, clusters: Integers | None = None) -> Outcomes:
    """Return the outcomes of choosing the most probable class. Shapes (N, C), (N,) and (N,)."""
    losses = {"brier": brier(probabilities, true), "log_loss": log_loss(probabilities, true)}
    right = (probabilities.argmax(axis=1) == true).astype(np.float64)
    return Outcomes(probabilities.max(axis=1), right, losses, clusters, brier_scale=2)


def of_decisions(confidence: Floats, right: Floats, clusters: Integers | None = None) -> Outcomes:
    """Return the outcomes of decisions of which only the confidence is known. Each of shape (N,)."""
    given = np.where(right > 0, confidence, 1 - confidence)
    losses = {"brier": (1 - given) ** 2, "log_loss": -np.log(given.clip(1e-15))}
    return Outcomes(confidence, right, losses, clusters)


def section(
    probabilities: Sequence[Any],
    references: Sequence[int],
    config: EvaluationConfig,
    seed: int,
    temperature: float | None,
    fit: Mapping[str, Any] | None = None,
    clusters: Integers | None = None,
    claimed: float | None = None,
) -> dict[str, Any]:
    """Return the report's section on calibration of the classes of rows.

    Args:
        probabilities: Of each class, for each example. Shape (N, C).
        references: The true classes.
        config: Confidence and resamples.
        seed: Of the draws.
        temperature: By which the logits may be divided, fitted on other rows; None where there is none.
        fit: How it was fitted, or why there is none: `Fit.as_dict`.
        clusters: Number of each example's cluster; None where examples are independent. Shape (N,).
        claimed: Confidence of the claim that the model is miscalibrated; that of the settings when None.
    """
    probs, true = probability_matrix(probabilities), np.asarray(references, np.int64)
    at = None if temperature is None else of_classes(scaled(probs, temperature), true, clusters)
    return of_outcomes(of_classes(probs, true, clusters), at, config, seed, temperature, fit, claimed)


def of_outcomes(
    outcomes: Outcomes,
    scaled_outcomes: Outcomes | None,
    config: EvaluationConfig,
    seed: int,
    temperature: float | None,
    fit: Mapping[str, Any] | None = None,
    claimed: float | None = None,
) -> dict[str, Any]:
    """Return the report's section on calibration of any decisions.

    The direction, over- or underconfident, is claimed where perfect calibration is rejected and the interval of the
    mean confidence minus the accuracy excludes 0, both at the same level: the second hypothesis implies the first, so
    none is tested twice (Marcus, Peritz and Gabriel 1976, "On Closed Testing Procedures").

    Args:
        outcomes: Of the decisions.
        scaled_outcomes: Of the same decisions at the temperature; None where there is none.
        config: Confidence and resamples.
        seed: Of the draws.
        temperature: By which the logits may be divided.
        fit: How it was fitted, or why there is none.
        claimed: As of `section`.
    """
    confidence, right = outcomes.confidence, outcomes.right
    level = config.confidence if claimed is None else claimed
    result: dict[str, Any] = {
        "confidence": config.confidence,
        "claims_confidence": level,
        "gap": _as_dict(mean_gap(confidence, right, level, outcomes.clusters)),
        "mean_confidence": float(confidence.mean()),
        "accuracy": float(right.mean()),
        "bins": _bins(outcomes, config.confidence),
        **_figures(outcomes, config, seed),
        "p": calibrated_p(confidence, right, seed, clusters=outcomes.clusters),
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
    clusters: Integers | None = None,
    claimed: float | None = None,
) -> dict[str, Any]:
    """Return the report's section where a row has any number of classes: each is calibrated for itself.

    Args:
        probabilities: Of each class, for each example. Shape (N, C).
        references: Numbers of the true classes of each example.
        labels: Names of the classes.
        config: Confidence and resamples.
        seed: Of the draws.
        clusters: Number of each example's cluster; None where examples are independent. Shape (N,).
        claimed: As of `section`.
    """
    probs, true = probability_matrix(probabilities), membership(references, len(labels)).astype(np.float64)
    redraws = REDRAWS * max(1, len(labels) // 2)  # the least p-value is 1 / redraws, and is multiplied by the classes
    each = [(probs[:, c], true[:, c]) for c in range(len(labels))]
    adjusted = holm([calibrated_p(*pair, seed, redraws, clusters) for pair in each])
    errors = [calibration_error(*pair, config.confidence, seed, clusters) for pair in each]
    return {
        "confidence": config.confidence,
        "claims_confidence": config.confidence if claimed is None else claimed,
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
    confidence, right, clusters = outcomes.confidence, outcomes.right, outcomes.clusters
    error = calibration_error(confidence, right, config.confidence, seed, clusters)
    settings: dict[str, Any] = {"confidence": config.confidence, "resamples": config.resamples, "seed": seed}
    figures: dict[str, Any] = {"ece": _as_dict(error), "ece_plain": plain_error(confidence, right)}
    figures |= {"ece_equal_width": equal_width_error(confidence, right), "brier_scale": outcomes.brier_scale}
    for name, losses in outcomes.losses.items():
        statistics = np.stack([losses, np.ones(len(losses))], axis=1)
        figures[name] = _as_dict(bootstrap(statistics, mean, **settings, clusters=clusters))
    return figures


def _as_dict(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _bins(outcomes: Outcomes, level: float) -> list[dict[str, Any]]:
    confidence = outcomes.confidence
    number = bin_of(confidence)
    rows = []
    for members in (number == index for index in np.unique(number)):
        count = int(members.sum())
        accuracy = share(outcomes.right, members, level, outcomes.clusters)
        sure = float(confidence[members].mean())
        rows.append({"count": count, "confidence": sure, "accuracy": _as_dict(accuracy)})
    return rows


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    settings, temperature = context.config.evaluation, context.temperature
    claimed = context.claims["calibration"]
    if context.task.labels_words:
        return _of_entities(context)
    probabilities = context.columns.get("probabilities")
    if probabilities is None:
        return None
    if context.task.several:
        return of_each_class(
            probabilities, context.references, context.labels, settings, context.seed, context.clusters, claimed
        )
    return section(
        probabilities, context.references, settings, context.seed, temperature, context.fit, context.clusters, claimed
    )


def _of_entities(context: EvaluationContext) -> dict[str, Any] | None:
    """Return the section on predicted entities; the temperature is that of the words' probabilities."""
    rows, temperature = context.columns.get(WORD_PROBABILITIES), context.temperature
    plain = None if rows is None else entities.outcomes(context, rows)
    if rows is None or plain is None:
        return None
    at = None
    if temperature is not None:
        at = entities.outcomes(context, [at_temperature(words, temperature) for words in rows])

    def decisions(confidence: Floats, right: Floats, sentences: Integers) -> Outcomes:
        return of_decisions(confidence, right, kept(context.clusters, sentences))

    result = of_outcomes(
        decisions(*plain),
        None if at is None else decisions(*at),
        context.config.evaluation,
        context.seed,
        temperature,
        context.fit,
        context.claims["calibration"],
    )
    return {"unit": entities.UNIT, **result}


CHECK = Check("calibration", _run, applies=lambda task: task.labelled is not None)
