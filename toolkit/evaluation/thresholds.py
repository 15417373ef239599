"""Thresholds on the probability of one class: read from the configuration, chosen on validation rows, stored."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from toolkit.config import normal_form
from toolkit.errors import ConfigError
from toolkit.evaluation.statistics.clusters import Integers, kept
from toolkit.evaluation.statistics.intervals import effective_rows
from toolkit.metrics.probability import probability_matrix

_POINT = re.compile(r"(sensitivity|specificity)=(0?\.\d+|1|1\.0)")


def parse(points: Sequence[str]) -> list[tuple[str, float]]:
    """Read operating points such as "sensitivity=0.95".

    Raises:
        ConfigError: One has another form.
    """
    targets = []
    for point in points:
        match = _POINT.fullmatch(point.strip())
        if match is None:
            raise ConfigError(
                f"`evaluation.operating_points` has {point!r}, which is not an operating point.",
                "Write sensitivity=0.95 or specificity=0.99, with a value from 0 to 1.",
                id="config.malformed-value",
            )
        targets.append((match[1], float(match[2])))
    return targets


def class_number(positive: str | None, labels: Sequence[str]) -> int | None:
    """Return the number of the positive class; None where none is configured.

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
class OperatingPoint:
    """An operating point, as it was chosen on validation rows.

    Attributes:
        name: As "sensitivity=0.95"; "balanced" has no target.
        threshold: Scores at or above it are positive.
        sensitivity: At this threshold on validation rows.
        specificity: At this threshold on validation rows.
        effective: As how many independent rows positives and negatives count for these shares, where rows belong to
            groups; None where rows are independent.
    """

    name: str
    threshold: float
    sensitivity: float
    specificity: float
    effective: tuple[float, float] | None = None


@dataclass(frozen=True)
class Thresholds:
    """Thresholds, and the validation rows on which they were chosen.

    Attributes:
        positives: Validation rows of the positive class.
        negatives: The others.
        points: Empty where all rows, or none, are of the class.
    """

    positives: int
    negatives: int
    points: tuple[OperatingPoint, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as the model's card holds it."""
        return asdict(self)

    @classmethod
    def of(cls, stored: Any) -> "Thresholds | None":
        """Read the thresholds of a card; None where it has none of this form."""
        try:
            points = tuple(_point(point) for point in stored["points"])
            return cls(int(stored["positives"]), int(stored["negatives"]), points)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None


def _point(stored: Any) -> OperatingPoint:
    effective = stored.get("effective")
    if effective is not None:
        positives, negatives = map(float, effective)
        effective = positives, negatives
    return OperatingPoint(**{**stored, "effective": effective})


def choose(
    probabilities: Sequence[Any],
    references: Sequence[int],
    positive: int,
    points: Sequence[str],
    clusters: Integers | None = None,
    confidence: float = 0.95,
) -> Thresholds:
    """Choose on validation rows the threshold of each operating point; scores at or above it are positive.

    For a sensitivity it is the highest that reaches it, for a specificity the lowest; "balanced" is where the sum of
    both is largest (Youden 1950). Each is halfway between the two scores that it separates.

    Args:
        probabilities: Of each class, for each row. Shape (N, C).
        references: The true classes.
        positive: Number of the positive class.
        points: As the configuration has them.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
        confidence: Of later intervals of the shares that are reached.
    """
    scores, true = probability_matrix(probabilities)[:, positive], np.asarray(references) == positive
    if true.all() or not true.any():
        return Thresholds(int(true.sum()), int((~true).sum()), ())
    candidates = np.unique(scores)  # ascending
    # halfway to the next lower score: equivalent on these rows, more robust on others
    halfway = candidates[:-1] + np.diff(candidates) / 2
    edges = np.append(candidates[:1], np.where(halfway > candidates[:-1], halfway, candidates[1:]))
    ranked_true, ranked_other = np.sort(scores[true]), np.sort(scores[~true])
    sensitivity = 1 - np.searchsorted(ranked_true, candidates, side="left") / true.sum()
    specificity = np.searchsorted(ranked_other, candidates, side="left") / (~true).sum()
    chosen = {"balanced": float(edges[np.argmax(sensitivity + specificity)])}
    for name, wanted in parse(points):
        if name == "sensitivity":
            chosen[f"{name}={wanted:g}"] = float(edges[sensitivity >= wanted - 1e-12][-1])
        else:
            enough = edges[specificity >= wanted - 1e-12]
            above_all = float(np.nextafter(candidates[-1], 2))
            chosen[f"{name}={wanted:g}"] = float(enough[0]) if len(enough) else above_all
    reached = []
    for name, threshold in chosen.items():
        sides = ((scores[true] >= threshold, true), (scores[~true] < threshold, ~true))
        effective = None
        if clusters is not None:
            numbers = [effective_rows(hit.astype(np.float64), kept(clusters, of), confidence) for hit, of in sides]
            effective = (numbers[0], numbers[1])
        sensitivity_, specificity_ = (float(hit.mean()) for hit, _ in sides)
        reached.append(OperatingPoint(name, threshold, sensitivity_, specificity_, effective))
    return Thresholds(int(true.sum()), int((~true).sum()), tuple(reached))
