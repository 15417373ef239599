"""The definition of a metric."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
ValueType = Literal["int64", "float64", "string", "labels", "probabilities", "ranking"]
Unit = Literal["fraction", "score", "points", "value"]

# What a value of each type is: in Python, and in words.
VALUES: Mapping[ValueType, tuple[Any, ...]] = {
    "int64": (int, np.integer),
    "float64": (int, float, np.integer, np.floating),
    "string": (str,),
    "labels": (list, tuple, np.ndarray),
    "probabilities": (list, tuple, np.ndarray),
    "ranking": (list, tuple, np.ndarray),
}
VALUE_NAMES: Mapping[ValueType, str] = {
    "int64": "the number of a class",
    "float64": "a number",
    "string": "a text",
    "labels": "a list of numbers of classes",
    "probabilities": "the probability of each class",
    "ranking": "a list of names, the best first",
}


@dataclass(frozen=True)
class Scale:
    """A scale on which a figure's distribution is nearly normal, with a deviation that hardly depends on the figure.

    Attributes:
        to: Figures → values on the scale.
        back: Values on the scale → figures.
    """

    to: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


LOGARITHM = Scale(np.log, np.exp)
_LEAST = 1e-12  # distance of a share from 0 and 1, whose log odds are infinite


def log_odds(most: float = 1.0) -> Scale:
    """Return the scale of log odds of a figure between 0 and `most`."""

    def to(figures: Floats) -> Floats:
        shares = np.clip(np.asarray(figures) / most, _LEAST, 1 - _LEAST)
        odds: Floats = np.log(shares / (1 - shares))
        return odds

    return Scale(to, lambda odds: most / (1 + np.exp(-odds)))


@dataclass(frozen=True)
class Metric:
    """A figure that is a function of sums over examples, such as accuracy.

    Attributes:
        name: Short name, also the key of the result.
        title: As the report prints it.
        statistics: (predictions, references, names of the classes) → one row an example. Shape (N, S).
        aggregate: Sums of such rows → the figure. Shape (..., S) → (...).
        value_type: What one prediction is: "int64" (a class), "float64" (a number), "string", "labels" (a list of
            classes, such as one for each word), "probabilities" (one number for each class), or "ranking" (a list of
            names, the best first).
        unit: "fraction" is printed as a percentage, "score" as it is, "points" (from 0 to 100) with one decimal,
            "value" (in the unit of the data) with four significant digits or more.
        higher_is_better: Direction of improvement.
        proportion: Whether the figure is a share of independent successes, as accuracy is, or a mean over rows of
            values from 0 to 1: sums are (its total, rows).
        overlaps: Of a mean F1: sums → (right, predicted, true) of each class, (S,) → three of (C,).
        least_classes: With fewer classes than this the figure says nothing and is left out.
        signature: Says with which settings of a library the figure is computed; None for a plain formula.
        reference_type: What one reference is, where it is not what a prediction is: "int64" where a number is predicted
            for a class, "labels" where there are probabilities of several classes.
        scale: Of a figure of squares or of products, on which a few rows have much influence: the interval is
            studentized on it.
    """

    name: str
    title: str
    statistics: Callable[[Sequence[Any], Sequence[Any], Sequence[str]], Floats]
    aggregate: Callable[[Floats], Floats]
    value_type: ValueType = "int64"
    unit: Unit = "fraction"
    higher_is_better: bool = True
    proportion: bool = False
    overlaps: Callable[[Floats], Sequence[Floats]] | None = None
    least_classes: int = 0
    signature: Callable[[], str] | None = None
    reference_type: ValueType | None = None
    scale: Scale | None = None


@dataclass(frozen=True)
class RankMetric:
    """A figure that depends on the order of the examples, such as the area under the ROC curve.

    Attributes:
        name: Short name, also the key of the result.
        title: As the report prints it.
        prepare: (predictions, references, names of the classes) → a function from weights of the examples, shape
            (B, N), to figures, shape (B,); NaN where the weights leave nothing to rank.
        value_type: What one prediction is, as of a `Metric`.
        unit: How the figure is printed, as of a `Metric`.
        higher_is_better: Direction of improvement.
        least_classes: With fewer classes than this the figure says nothing and is left out.
        reference_type: What one reference is, where it is neither what a prediction is nor the class of probabilities.
        scale: The interval is symmetric on this scale; None for the BCa interval.
        base_rate: Of a figure that depends on the share of positives: (references, names of the classes) → the positive
            class, "" for a mean over classes, and the figure of predictions at random.
        pairs: Whether the figure is the share of pairs of a positive and another row that are ranked rightly.
    """

    name: str
    title: str
    prepare: Callable[[Sequence[Any], Sequence[Any], Sequence[str]], Callable[[Floats], Floats]]
    value_type: ValueType = "probabilities"
    unit: Unit = "score"
    higher_is_better: bool = True
    least_classes: int = 0
    reference_type: ValueType | None = None
    scale: Scale | None = None
    base_rate: Callable[[Sequence[Any], Sequence[str]], tuple[str, float]] | None = None
    pairs: bool = False


def reference_type(metric: Metric | RankMetric) -> ValueType:
    """Return what one reference is."""
    if metric.reference_type is not None:
        return metric.reference_type
    return "int64" if metric.value_type == "probabilities" else metric.value_type


def column(metric: Metric | RankMetric) -> str:
    """Return the column of predictions that a metric evaluates."""
    return "probabilities" if metric.value_type == "probabilities" else "prediction"


def figure_of(
    metric: Metric | RankMetric, predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]
) -> float:
    """Return a metric's figure of N predictions."""
    if isinstance(metric, RankMetric):
        return float(metric.prepare(predictions, references, labels)(np.ones((1, len(references))))[0])
    return float(metric.aggregate(metric.statistics(predictions, references, labels).sum(axis=0)))
