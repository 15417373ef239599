"""A model as a screening test: sensitivity and specificity at thresholds that were chosen beforehand.

One class is the positive one. On validation rows a threshold on its probability is chosen for each operating point; on
the test rows sensitivity and specificity at this threshold are measured. A threshold chosen on the same rows it is
measured on would be too optimistic.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.intervals import wilson
from toolkit.evaluation.thresholds import Thresholds, parse
from toolkit.metrics.probability import probability_matrix


def section(
    probabilities: Sequence[Any],
    references: Sequence[int],
    positive: int,
    labels: Sequence[str],
    chosen: Thresholds,
    confidence: float,
) -> dict[str, Any]:
    """Return the report's section on screening.

    Args:
        probabilities: Of each class, for each test row. Shape (N, C).
        references: The true classes.
        positive: Number of the positive class.
        labels: Names of the classes.
        chosen: From `thresholds.choose` on other rows.
        confidence: Of the intervals (Wilson's).
    """
    scores, true = probability_matrix(probabilities)[:, positive], np.asarray(references) == positive
    points = []
    for point in chosen.points:
        called = scores >= point.threshold
        shares = {
            "sensitivity": (called & true, true),
            "specificity": (~called & ~true, ~true),
            "positive_predictive_value": (called & true, called),
            "negative_predictive_value": (~called & ~true, ~called),
        }
        figures = {key: _share(int(hits.sum()), int(among.sum()), confidence) for key, (hits, among) in shares.items()}
        there = {
            "sensitivity": _share(round(point.sensitivity * chosen.positives), chosen.positives, confidence),
            "specificity": _share(round(point.specificity * chosen.negatives), chosen.negatives, confidence),
        }
        points.append(
            {
                "name": point.name,
                "threshold": point.threshold,
                **figures,
                "on_validation": there,
                **_target(point.name, figures, there),
            }
        )
    return {
        "positive": labels[positive],
        "confidence": confidence,
        "positives": int(true.sum()),
        "negatives": int((~true).sum()),
        "validation_positives": chosen.positives,
        "validation_negatives": chosen.negatives,
        "points": points,
    }


def _target(name: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Return the target of a point, and where it is missed: on these rows, or on validation rows."""
    if "=" not in name:
        return {}
    ((figure, wanted),) = parse([name])
    missed = [figures[figure]["value"] is not None and figures[figure]["value"] < wanted for figures in (here, there)]
    return {"target": wanted, "missed": missed[0], "missed_on_validation": missed[1]}


def _share(hits: int, among: int, confidence: float) -> dict[str, float | None]:
    if not among:
        return {"value": None, "low": None, "high": None}
    interval = wilson(float(hits), float(among), confidence)
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    probabilities, settings = context.columns.get("probabilities"), context.config.evaluation
    positive = settings.positive_class
    if probabilities is None or context.thresholds is None or positive is None or positive not in context.labels:
        return None
    number = list(context.labels).index(positive)
    return section(probabilities, context.references, number, context.labels, context.thresholds, settings.confidence)


CHECK = Check("screening", _run, applies=lambda task: task.stratum is not None)
