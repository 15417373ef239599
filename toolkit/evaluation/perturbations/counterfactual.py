"""Predictions for inputs that are not in the data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from toolkit.evaluation import entities
from toolkit.evaluation.context import EvaluationContext, chosen_classes
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import Floats, Interval, agreeing, bootstrap, paired_difference, share
from toolkit.evaluation.statistics.significance import exchanged_p, of_discordant
from toolkit.inference.encode import encode_rows
from toolkit.inference.predict_features import predict_features
from toolkit.metrics import Metric, load
from toolkit.metrics.means import mean
from toolkit.metrics.probability import probability_matrix

PredictionColumns = Mapping[str, Sequence[Any]]
Example = tuple[Any, ...]  # the value of each input of a row
Measure = Literal["score", "probability", "number"]


@dataclass(frozen=True)
class CounterfactualModel:
    """A model, and how its predictions are interpreted.

    Attributes:
        predict: Examples, tuples with the value of each input → columns of predictions, "prediction" and
            "probabilities".
        labels: Names of the classes.
        weights: For each class how positive it is, from -1 to 1; None where the classes have no such order.
        confidence: Of the intervals.
        resamples: Bootstrap samples behind them.
        seed: Of every draw.
        metric: What a change is measured by where a row does not have exactly one class; None for accuracy.
        measure: What gaps between groups are of: "score" of `weights`, "probability" of each class, or "number".
        width: Of numbers, the half width of their prediction intervals: a prediction that moves further has changed;
            None where it is not known.
        shows: (example, prediction) → text; the name of the class when None.
        clusters: Number of the cluster of each example of the data; None where examples are independent. Shape (N,).
        claims: Confidence of the claims of a check, by its key; `confidence` where it has none.
    """

    predict: Callable[[Sequence[Example]], PredictionColumns]
    labels: Sequence[str]
    weights: Sequence[float] | None
    confidence: float
    resamples: int
    seed: int
    metric: Metric | None = None
    measure: Measure = "score"
    width: float | None = None
    shows: Callable[[Any, Any], str] | None = None
    clusters: Integers | None = None
    claims: Mapping[str, float] = field(default_factory=dict)

    @property
    def of_numbers(self) -> bool:
        """Whether predictions are numbers, which every change of an input moves a little."""
        return self.measure == "number"

    def differ(self, before: Any, after: Any) -> bool:
        """Whether a prediction changed; numbers by more than the half width of their intervals."""
        return abs(after - before) > (self.width or 0.0) if self.of_numbers else bool(before != after)

    def changed(
        self, before: Sequence[Any], after: Sequence[Any], clusters: Integers | None
    ) -> dict[str, float] | None:
        """Return the share of the predictions that changed; None for numbers without a known half width."""
        if self.of_numbers and self.width is None:
            return None
        return self.share([self.differ(*pair) for pair in zip(before, after, strict=True)], clusters)

    def figure(self, predictions: PredictionColumns, truth: Sequence[Any]) -> float:
        """Return the metric, or the accuracy, of predictions."""
        given = predictions["prediction"]
        if self.metric is not None:
            return float(self.metric.aggregate(self.metric.statistics(given, truth, self.labels).sum(axis=0)))
        return float(np.mean([predicted == true for predicted, true in zip(given, truth, strict=True)]))

    def change(
        self,
        before: Sequence[Any],
        after: Sequence[Any],
        truth: Sequence[Any],
        confidence: float,
        clusters: Integers | None,
    ) -> dict[str, float]:
        """Return how much the metric, or the accuracy, of the same rows changes, with a paired interval and p-value.

        The interval contains 0 exactly where the test does not reject that nothing changes: McNemar's test for
        accuracy, and else a randomization test.
        """
        if self.metric is None:
            right, still = (
                np.array([predicted == true for predicted, true in zip(given, truth, strict=True)], np.float64)
                for given in (before, after)
            )
            p = of_discordant(right > 0, still > 0, clusters).p
            plain = Interval(**self.mean(still - right, clusters, confidence))
            return {**as_dict(agreeing(plain, p, confidence)), "p": p}
        now, then = (self.metric.statistics(given, truth, self.labels) for given in (after, before))
        settings: dict[str, Any] = {"resamples": self.resamples, "seed": self.seed, "clusters": clusters}
        p = exchanged_p(now, then, self.metric.aggregate, self.seed, clusters)
        plain = paired_difference(now, then, self.metric.aggregate, confidence=confidence, **settings)
        return {**as_dict(agreeing(plain, p, confidence)), "p": p}

    def shown(self, example: Example, prediction: Any) -> str:
        """Return a prediction for an example as text."""
        return self.labels[prediction] if self.shows is None else self.shows(example, prediction)

    def measured(self, predictions: PredictionColumns) -> dict[str, Floats]:
        """Return what gaps are of, by the class that it belongs to, "" for none; each of shape (N,)."""
        if self.of_numbers:
            return {"": np.asarray(predictions["prediction"], np.float64)}
        if self.measure == "probability":
            return dict(zip(self.labels, probability_matrix(predictions["probabilities"]).T, strict=True))
        return {} if self.weights is None else {"": self.scores(predictions)}

    def scores(self, predictions: PredictionColumns) -> Floats:
        """Return the score of each text, from -1 (negative) to 1 (positive). Shape (N,)."""
        weights = np.asarray(self.weights if self.weights is not None else (0.0,) * len(self.labels))
        scores: Floats = probability_matrix(predictions["probabilities"]) @ weights
        return scores

    def share(self, hits: Sequence[bool] | np.ndarray[Any, Any], clusters: Integers | None) -> dict[str, float]:
        """Return a share of texts with Wilson's interval."""
        return as_dict(share(hits, np.ones(len(hits), bool), self.confidence, clusters))

    def mean(self, values: Floats, clusters: Integers | None, confidence: float | None = None) -> dict[str, float]:
        """Return the mean of a number for each text, with its bootstrap interval."""
        statistics = np.stack([values, np.ones(len(values))], axis=1)
        level = self.confidence if confidence is None else confidence
        settings: dict[str, Any] = {"resamples": self.resamples, "seed": self.seed, "clusters": clusters}
        return as_dict(bootstrap(statistics, mean, confidence=level, **settings))


def as_dict(interval: Interval) -> dict[str, float]:
    """Return an interval as the report holds it."""
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def polarity(recipe: Any, labels: Sequence[str]) -> list[float] | None:
    """Return how positive each class is, the strongest being 1 or -1, if the recipe's POLARITY has all of them.

    Args:
        recipe: The task.
        labels: Names of the classes.
    """
    weights: Mapping[str, float] = recipe.polarity or {}
    values = [weights[label.casefold()] for label in labels if label.casefold() in weights]
    strongest = max(map(abs, values), default=0.0)
    return [value / strongest for value in values] if len(values) == len(labels) and strongest else None


def examples(context: EvaluationContext) -> list[Example]:
    """Return the values of the inputs of each row; an empty text where a text is missing."""
    columns = [(context.rows[c.role].to_pylist(), c.kind.plain is not None) for c in context.task.inputs]
    filled = [["" if value is None and text else value for value in values] for values, text in columns]
    return list(zip(*filled, strict=True))


def counterfactual_model(context: EvaluationContext) -> CounterfactualModel:
    """Return a predictor for examples that are not in the data.

    Args:
        context: With the stored model.
    """
    return replace(_counterfactual_model(context), clusters=context.clusters, claims=context.claims)


def _counterfactual_model(context: EvaluationContext) -> CounterfactualModel:
    stored, settings = context.stored, context.config.evaluation
    assert stored is not None  # a check that needs predictions runs where there is a model
    loaded = stored.loaded

    inputs = context.task.inputs

    def predict(given: Sequence[Example]) -> PredictionColumns:
        values = zip(inputs, zip(*given, strict=True), strict=True)
        table = pa.table({column.role: pa.array(listed, column.kind.type) for column, listed in values})
        predicted = predict_features(loaded, encode_rows(table, loaded)).columns
        return {**predicted, "prediction": chosen_classes(predicted)}

    target, common = context.recipe.target, (settings.confidence, settings.resamples, context.seed)
    if context.task.stratum is not None:
        weights = polarity(stored.recipe, stored.labels) if len(inputs) == 1 else None  # a relation has no polarity
        return CounterfactualModel(predict, stored.labels, weights, *common)
    first = load(context.recipe.metrics[0])[1]
    metric = first if isinstance(first, Metric) else None
    if context.task.labels_words:
        weights = polarity(stored.recipe, stored.labels)

        def listed(example: Example, prediction: Any) -> str:
            return entities.listed(example[0], prediction, stored.labels)

        return CounterfactualModel(predict, stored.labels, weights, *common, metric, shows=listed)
    width = loaded.calibration.get("half_width")
    return CounterfactualModel(
        predict,
        stored.labels,
        None,
        *common,
        metric,
        "number" if target.outcome.number else "probability",
        width if isinstance(width, int | float) else None,
        lambda _example, prediction: target.shown(prediction, stored.labels),
    )
