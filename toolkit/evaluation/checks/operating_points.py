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
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import share, wilson
from toolkit.evaluation.thresholds import Thresholds, parse
from toolkit.metrics.probability import probability_matrix


def section(
    probabilities: Sequence[Any],
    references: Sequence[int],
    positive: int,
    labels: Sequence[str],
    chosen: Thresholds,
    confidence: float,
    clusters: Integers | None = None,
) -> dict[str, Any]:
    """Return the report's section on screening.

    Args:
        probabilities: Of each class, for each test row. Shape (N, C).
        references: The true classes.
        positive: Number of the positive class.
        labels: Names of the classes.
        chosen: From `thresholds.choose` on other rows.
        confidence: Of the intervals (Wilson's).
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
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
        figures = {key: _share(hits, among, confidence, clusters) for key, (hits, among) in shares.items()}
        numbers = {"sensitivity": chosen.positives, "specificity": chosen.negatives}
        effective = dict(zip(numbers, point.effective or numbers.values(), strict=True))
        there = {
            key: _on_validation(getattr(point, key), rows, effective[key], confidence) for key, rows in numbers.items()
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


def _share(hits: Any, among: Any, confidence: float, clusters: Integers | None) -> dict[str, float | None]:
    if not among.any():
        return {"value": None, "low": None, "high": None}
    interval = share(hits, among, confidence, clusters)
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _on_validation(reached: float, rows: int, effective: float, confidence: float) -> dict[str, float]:
    """Return a share of validation rows, which count as so many independent ones."""
    interval = wilson(round(reached * rows) * effective / rows, effective, confidence)
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    probabilities, settings = context.columns.get("probabilities"), context.config.evaluation
    positive = settings.positive_class
    if probabilities is None or context.thresholds is None or positive is None or positive not in context.labels:
        return None
    number = list(context.labels).index(positive)
    labels, chosen = context.labels, context.thresholds
    return section(probabilities, context.references, number, labels, chosen, settings.confidence, context.clusters)


CHECK = Check("screening", _run, applies=lambda task: task.stratum is not None)
