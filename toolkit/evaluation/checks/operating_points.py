"""Operating points: sensitivity and specificity at thresholds that were chosen beforehand.

One class is to be found. On validation rows a threshold on its probability is chosen for each operating point; on the
test rows the threshold stands, and what it reaches there is measured. A threshold chosen on the very rows it is
measured on would flatter.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from toolkit.config import normal_form
from toolkit.errors import ConfigError
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.intervals import wilson
from toolkit.metrics.probability import chances_of

_POINT = re.compile(r"(sensitivity|specificity)=(0?\.\d+|1|1\.0)")


def parse(points: Sequence[str]) -> list[tuple[str, float]]:
    """Read operating points such as "sensitivity=0.95".

    Raises:
        ConfigError: One is written otherwise.
    """
    found = []
    for point in points:
        match = _POINT.fullmatch(point.strip())
        if match is None:
            raise ConfigError(
                f"`evaluation.operating_points` has {point!r}, which is not an operating point.",
                "Write sensitivity=0.95 or specificity=0.99, with a value from 0 to 1.",
                id="config.malformed-value",
            )
        found.append((match[1], float(match[2])))
    return found


def number_of(positive: str | None, labels: Sequence[str]) -> int | None:
    """Return the number of the positive class; None where none was named.

    Raises:
        ConfigError: There is no such class.
    """
    if positive is None:
        return None
    known = [normal_form.label(label) for label in labels]
    if positive not in labels and normal_form.label(positive) not in known:
        raise ConfigError(
            f"`evaluation.positive_class` is {positive!r}, which is not a class of this data.",
            f"The classes are {', '.join(labels)}." if labels else "Unset it: this task has no classes.",
            id="config.unknown-class",
        )
    return list(labels).index(positive) if positive in labels else known.index(normal_form.label(positive))


@dataclass(frozen=True)
class Point:
    """An operating point, as it was chosen on validation rows.

    Attributes:
        name: As "sensitivity=0.95"; "balanced" has no target.
        threshold: What scores so much or more is called positive.
        sensitivity: Reached there on validation rows.
        specificity: Reached there on validation rows.
    """

    name: str
    threshold: float
    sensitivity: float
    specificity: float


@dataclass(frozen=True)
class Chosen:
    """Thresholds, and the validation rows that they were chosen on.

    Attributes:
        positives: Validation rows of the class to be found.
        negatives: The others.
        points: Empty where all rows, or none, are of the class.
    """

    positives: int
    negatives: int
    points: tuple[Point, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as the model's card holds it."""
        return asdict(self)

    @classmethod
    def of(cls, stored: Any) -> "Chosen | None":
        """Read what a card holds; None where it holds nothing of this form."""
        try:
            points = tuple(Point(**point) for point in stored["points"])
            return cls(int(stored["positives"]), int(stored["negatives"]), points)
        except (KeyError, TypeError, ValueError):
            return None


def thresholds(probabilities: Sequence[Any], references: Sequence[int], positive: int, points: Sequence[str]) -> Chosen:
    """Choose on validation rows the threshold of each operating point: scores at or above it are positive.

    For a sensitivity it is the highest that reaches it, for a specificity the lowest; "balanced" is where the sum of
    both is largest (Youden 1950). Each stands halfway between the two scores that it parts.

    Args:
        probabilities: Of each class, for each row. Shape (N, C).
        references: The true classes.
        positive: Number of the class to be found.
        points: As the configuration has them.

    """
    scores, true = chances_of(probabilities)[:, positive], np.asarray(references) == positive
    if true.all() or not true.any():
        return Chosen(int(true.sum()), int((~true).sum()), ())
    candidates = np.unique(scores)  # ascending
    # halfway to the next lower score: on these rows the same, on others not as near to either side
    halfway = candidates[:-1] + np.diff(candidates) / 2
    edges = np.append(candidates[:1], np.where(halfway > candidates[:-1], halfway, candidates[1:]))
    ranked_true, ranked_other = np.sort(scores[true]), np.sort(scores[~true])
    sensitivity = 1 - np.searchsorted(ranked_true, candidates, side="left") / true.sum()
    specificity = np.searchsorted(ranked_other, candidates, side="left") / (~true).sum()
    found = {"balanced": float(edges[np.argmax(sensitivity + specificity)])}
    for name, wanted in parse(points):
        if name == "sensitivity":
            found[f"{name}={wanted:g}"] = float(edges[sensitivity >= wanted - 1e-12][-1])
        else:
            enough = edges[specificity >= wanted - 1e-12]
            above_all = float(np.nextafter(candidates[-1], 2))
            found[f"{name}={wanted:g}"] = float(enough[0]) if len(enough) else above_all
    reached = [
        Point(name, threshold, float((scores[true] >= threshold).mean()), float((scores[~true] < threshold).mean()))
        for name, threshold in found.items()
    ]
    return Chosen(int(true.sum()), int((~true).sum()), tuple(reached))


def section(
    probabilities: Sequence[Any],
    references: Sequence[int],
    positive: int,
    labels: Sequence[str],
    chosen: Chosen,
    confidence: float,
) -> dict[str, Any]:
    """Return the report's section on screening.

    Args:
        probabilities: Of each class, for each test row. Shape (N, C).
        references: The true classes.
        positive: Number of the class to be found.
        labels: Names of the classes.
        chosen: From `thresholds` on other rows.
        confidence: Of the intervals (Wilson's).
    """
    scores, true = chances_of(probabilities)[:, positive], np.asarray(references) == positive
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
    """Return a point's target, and whether it is missed on these rows and on validation rows."""
    if "=" not in name:
        return {}
    ((figure, wanted),) = parse([name])
    missed = [figures[figure]["value"] is not None and figures[figure]["value"] < wanted for figures in (here, there)]
    return {"target": wanted, "missed": missed[0], "missed_on_validation": missed[1]}


def _share(hits: int, among: int, confidence: float) -> dict[str, float | None]:
    if not among:
        return {"value": None, "low": None, "high": None}
    found = wilson(float(hits), float(among), confidence)
    return {"value": found.value, "low": found.low, "high": found.high}


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    chances, settings = context.columns.get("probabilities"), context.config.evaluation
    positive = settings.positive_class
    if chances is None or context.thresholds is None or positive is None or positive not in context.labels:
        return None
    number = list(context.labels).index(positive)
    return section(chances, context.references, number, context.labels, context.thresholds, settings.confidence)


CHECK = Check("screening", _run, applies=lambda task: bool(task.target.kind.single))
