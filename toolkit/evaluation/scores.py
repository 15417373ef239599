"""From predictions to metrics with intervals, for the model and its baselines."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.config.settings import EvaluationConfig
from toolkit.data.batching.batch import Integers
from toolkit.errors import RecipeError
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.overviews import class_figures
from toolkit.evaluation.statistics import intervals, weighted
from toolkit.evaluation.statistics.clusters import count, quantile
from toolkit.evaluation.statistics.significance import exchanged_p, mcnemar
from toolkit.metrics import Metric, RankMetric, column, load
from toolkit.metrics.base import VALUE_NAMES, VALUES, figure_of, reference_type
from toolkit.metrics.classification import membership
from toolkit.tasks.task import Column

Columns = Mapping[str, Sequence[Any]]
Definition = Metric | RankMetric


def score(
    columns: Columns,
    references: Sequence[Any],
    metrics: Sequence[str | Definition],
    labels: Sequence[str],
    config: EvaluationConfig,
    seed: int,
    clusters: Integers | None = None,
) -> list[dict[str, Any]]:
    """Compute each metric, with a bootstrap interval where it is the toolkit's own, else through its `evaluate` module.

    Metrics that cannot be computed from these columns, or are not meaningful with so few classes, are omitted.

    Args:
        columns: Predictions; "prediction", and "probabilities" where the task has them.
        references: The truth, one an example.
        metrics: Names or definitions.
        labels: Names of the classes; empty for a task without.
        config: Confidence and resamples.
        seed: Of the bootstrap.
        clusters: Number of each example's cluster, where examples depend on each other.

    Returns:
        For each figure {"name", "title", "value", "low", "high", "unit"}, "better": "lower" where that is so, and
        "signature" where it has one.
    """
    figures = []
    for module, definition in computable(columns, metrics, labels):
        if definition is None:
            computed = module.compute(predictions=columns["prediction"], references=references)
            figures += [
                _figure(name, name, value, None, None, "score")
                for name, value in computed.items()
                if isinstance(value, int | float)
            ]
            continue
        predictions = columns[column(definition)]
        _check_type(definition, predictions, references)
        value = figure_of(definition, predictions, references, labels)
        if math.isnan(value):  # with one class there is no area under a curve, and no correlation
            continue
        interval = figure_interval(definition, predictions, references, labels, config, seed, clusters)
        low, high = (interval.low, interval.high) if interval is not None else (None, None)
        figure = _figure(definition.name, definition.title, value, low, high, definition.unit)
        if not definition.higher_is_better:
            figure["better"] = "lower"
        if isinstance(definition, RankMetric) and definition.base_rate is not None:
            figure["positive"], figure["base_rate"] = definition.base_rate(references, labels)
        if isinstance(definition, Metric) and definition.signature is not None:
            figure["signature"] = definition.signature()
        figures.append(figure)
    return figures


def values(
    columns: Columns, references: Sequence[Any], metrics: Sequence[str | Definition], labels: Sequence[str]
) -> dict[str, float]:
    """Compute each metric that is defined, without its interval, as validation during training needs it."""
    result: dict[str, float] = {}
    for module, definition in computable(columns, metrics, labels):
        if definition is None:
            computed = module.compute(predictions=columns["prediction"], references=references)
            result |= {name: float(value) for name, value in computed.items() if isinstance(value, int | float)}
            continue
        predictions = columns[column(definition)]
        _check_type(definition, predictions, references)
        value = figure_of(definition, predictions, references, labels)
        if not math.isnan(value):
            result[definition.name] = value
    return result


def computable(
    columns: Columns, metrics: Sequence[str | Definition], labels: Sequence[str]
) -> Iterator[tuple[Any, Definition | None]]:
    """Yield (module, definition), as `load` returns them, of the metrics that can be computed from the columns.

    Raises:
        RecipeError: The columns lack predictions.
    """
    if "prediction" not in columns:
        raise RecipeError(
            f"The predictions of the recipe have no column `prediction`, but {', '.join(columns) or 'none at all'}.",
            "Let `predictions` of the recipe or its target return it: one value for each row.",
            id="recipe.no-prediction",
        )
    for module, definition in map(load, metrics):
        if definition is None or (column(definition) in columns and len(labels) >= definition.least_classes):
            yield module, definition


def _figure(name: str, title: str, value: float, low: float | None, high: float | None, unit: str) -> dict[str, Any]:
    return {"name": name, "title": title, "value": value, "low": low, "high": high, "unit": unit}


def figure_interval(
    metric: Definition,
    predictions: Sequence[Any],
    references: Sequence[Any],
    labels: Sequence[str],
    config: EvaluationConfig,
    seed: int,
    clusters: Integers | None = None,
) -> intervals.Interval | None:
    """Return a metric's interval, or None where none can be given.

    Where every example is right, or every one is wrong, so is every resample, and the bootstrap has no variance. Then a
    share has Wilson's interval, a mean F1 the mean of its classes' (`intervals.f1_score`), which is wide, and an area
    under the ROC curve that of pairs (`weighted.perfect`); with clusters each of these counts as one example.
    """
    settings: dict[str, Any] = {
        "confidence": config.confidence,
        "resamples": config.resamples,
        "seed": seed,
        "clusters": clusters,
    }
    if isinstance(metric, RankMetric):
        figure = metric.prepare(predictions, references, labels)
        strata = references if reference_type(metric) == "int64" and metric.scale is not None else None
        interval = weighted.bootstrap_weighted(figure, len(references), **settings, scale=metric.scale, classes=strata)
        if interval.low < interval.high or not metric.pairs:
            return interval if interval.low < interval.high else None
        return weighted.perfect(interval.value, membership(references, len(labels)), config.confidence, clusters)
    statistics = metric.statistics(predictions, references, labels)
    total = statistics.sum(axis=0)
    units = 1.0 if clusters is None else count(clusters) / len(references)  # that an example counts as
    if metric.proportion and total[1] and total[0] in (0, total[1]):
        return intervals.wilson(total[0] * units, total[1] * units, config.confidence)
    if metric.scale is not None:
        interval = intervals.studentized(statistics, metric.aggregate, metric.scale, **settings)
    else:
        interval = intervals.bootstrap(statistics, metric.aggregate, **settings)
    if interval.low < interval.high:
        return interval
    if metric.overlaps is None:
        return None
    classes = zip(*metric.overlaps(total), strict=True)
    each = [
        intervals.f1_score(right * units, predicted * units, true * units, config.confidence)
        for right, predicted, true in classes
        if predicted + true
    ]
    if not each:
        return None
    low, high = (float(np.mean([getattr(bounds, end) for bounds in each])) for end in ("low", "high"))
    return intervals.Interval(interval.value, low, high)


def _check_type(metric: Definition, predictions: Sequence[Any], references: Sequence[Any]) -> None:
    """Refuse values of another type than the metric's; numbers would be truncated to classes silently.

    Raises:
        RecipeError: With the name of the metric and the first such value.
    """
    both = (("predictions", predictions, metric.value_type), ("references", references, reference_type(metric)))
    for name, values_of, expected in both:
        for value in values_of:
            if value is not None and not isinstance(value, VALUES[expected]):
                raise RecipeError(
                    f"The metric {metric.name} takes {VALUE_NAMES[expected]} for each row, but the {name} "
                    f"contain {value!r:.60}.",
                    "Define it in METRICS of the recipe with the value_type (and reference_type) of its values.",
                    id="recipe.metric-type",
                )


def difference(
    metric: Definition,
    ours: Columns,
    theirs: Columns,
    references: Sequence[Any],
    labels: Sequence[str],
    config: EvaluationConfig,
    seed: int,
    clusters: Integers | None = None,
) -> dict[str, Any]:
    """Return the figure of one predictor minus that of another on the same examples, with a paired interval.

    It contains 0 exactly where the test does not reject that the two are equally good: McNemar's test for accuracy, and
    else a randomization test; of figures that depend on the order of the examples the interval is itself the test.
    """
    first, second = ours[column(metric)], theirs[column(metric)]
    level = config.confidence
    settings: dict[str, Any] = {
        "confidence": level,
        "resamples": config.resamples,
        "seed": seed,
        "clusters": clusters,
    }
    section: dict[str, Any] = {"metric": metric.name}
    test = mcnemar(first, second, references, clusters) if metric.value_type == "int64" else None
    if isinstance(metric, RankMetric):
        figures = metric.prepare(first, references, labels), metric.prepare(second, references, labels)
        interval = weighted.bootstrap_weighted(
            lambda weights: figures[0](weights) - figures[1](weights), len(references), **settings
        )
        p, error = None, (interval.high - interval.low) / 2 / quantile(level, clusters)
    else:
        one, other = (metric.statistics(given, references, labels) for given in (first, second))
        interval = intervals.paired_difference(one, other, metric.aggregate, **settings)
        if test is not None and metric.proportion:
            p = test.p
        else:
            p = exchanged_p(one, other, metric.aggregate, seed, clusters)
        interval = intervals.agreeing(interval, p, level)
        error = intervals.paired_error(one, other, metric.aggregate, clusters)
    section |= {"value": interval.value, "low": interval.low, "high": interval.high, "p": p, "confidence": level}
    section["standard_error"] = error if math.isfinite(error) else None
    if not metric.higher_is_better:
        section["better"] = "lower"
    if test is not None:
        section["mcnemar"] = {"only_ours": test.only_ours, "only_theirs": test.only_theirs, "p": test.p}
    return section


def confusion(predictions: Sequence[int], references: Sequence[int], labels: Sequence[str]) -> dict[str, Any]:
    """Count predictions by truth: rows are the truth, columns the prediction."""
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(matrix, (np.asarray(references, np.int64), np.asarray(predictions, np.int64)), 1)
    return {"labels": list(labels), "matrix": matrix.tolist()}


def surest_errors(columns: Columns, references: Sequence[int], most: int = 20) -> list[int]:
    """Return the positions of the wrong predictions with the highest confidence, the highest first."""
    wrong = np.flatnonzero(np.asarray(columns["prediction"]) != np.asarray(references))
    surest = np.array([columns["probabilities"][row][columns["prediction"][row]] for row in wrong.tolist()])
    return [int(row) for row in wrong[np.argsort(-surest, kind="stable")[:most]]]


def confident_errors(
    columns: Mapping[str, Sequence[Any]],
    rows: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    inputs: Sequence[Column],
    most: int = 20,
) -> list[dict[str, Any]]:
    """Return the wrong predictions with the highest confidence.

    Args:
        columns: Predictions; "prediction" and "probabilities".
        rows: The examples with "label", the recipe's inputs, "_file" and "_row".
        labels: Names of the classes.
        inputs: Columns that are shown.
        most: How many.
    """
    wrong = []
    for row, predicted, probabilities in zip(rows, columns["prediction"], columns["probabilities"], strict=True):
        if predicted != row["label"]:
            wrong.append(
                {
                    "file": row.get("_file"),
                    "row": row.get("_row"),
                    "text": shown_text(row, inputs),
                    "label": labels[row["label"]],
                    "prediction": labels[predicted],
                    "confidence": float(probabilities[predicted]),
                    **thumbnail(row, inputs),
                }
            )
    return sorted(wrong, key=lambda error: -error["confidence"])[:most]


def thumbnail(row: Mapping[str, Any], inputs: Sequence[Column]) -> dict[str, str]:
    """Return a small copy of the first picture among a row's inputs, if there is one."""
    drawn = (column.kind.thumbnail(row[column.role]) for column in inputs if row.get(column.role) is not None)
    made = next((address for address in drawn if address is not None), None)
    return {} if made is None else {"picture": made}


def shown_text(row: Mapping[str, Any], inputs: Sequence[Column]) -> str:
    """Return those inputs that a row has as one text, several set apart."""
    texts = (column.kind.shown(row[column.role]) for column in inputs if row.get(column.role) is not None)
    return joined(text for text in texts if text)


def joined(texts: Iterable[str]) -> str:
    """Return the texts of an example as one, several set apart."""
    return " ⏎ ".join(texts)


def evaluation_section(context: EvaluationContext, split: str) -> dict[str, Any]:
    """Return the report's section on one split.

    Args:
        context: Rows, truth and predictions.
        split: What the rows are, in words.
    """
    settings = context.config.evaluation
    measured = (context.columns, context.references, context.recipe.metrics, context.labels)
    return {
        "split": split,
        "rows": context.rows.num_rows,
        "confidence": settings.confidence,
        "claims_confidence": dict(context.claims),
        "labels": list(context.labels),
        "loss": context.predictions.loss,
        "metrics": score(*measured, settings, context.seed, context.clusters),
        **context.recipe.target.overview(context),
    }


def class_sections(context: EvaluationContext) -> dict[str, Any]:
    """Return the metrics of each class, the confusion matrix, and the most confident errors."""
    predicted, references, labels = context.columns["prediction"], context.references, context.labels
    section: dict[str, Any] = {
        "per_class": class_figures.per_class(
            predicted, references, labels, context.config.evaluation, context.seed, context.clusters
        ),
        "confusion": confusion(predicted, references, labels),
    }
    if "probabilities" in context.columns:
        chosen = surest_errors(context.columns, references)
        columns = {name: [column[row] for row in chosen] for name, column in context.columns.items()}
        there = context.rows.take(pa.array(chosen, pa.int64())).to_pylist()  # not all rows become Python objects
        target = context.recipe.task.target.role
        there = [{**row, "label": row[target]} for row in there]
        section["errors"] = confident_errors(columns, there, labels, context.recipe.task.inputs)
    return section


def baseline_sections(baselines: Mapping[str, Sequence[Any]], context: EvaluationContext) -> list[dict[str, Any]]:
    """Return the report's sections on baselines; the intervals of the differences in the first metric hold jointly.

    Args:
        baselines: Name → predictions.
        context: Rows, truth, and the predictions of the model.
    """
    settings = context.config.evaluation
    level = 1 - (1 - context.claims["baselines"]) / max(1, len(baselines))
    joint = settings.model_copy(update={"confidence": level})
    return [_baseline_section(name, theirs, context, joint) for name, theirs in baselines.items()]


def _baseline_section(
    name: str, theirs: Sequence[Any], context: EvaluationContext, joint: EvaluationConfig
) -> dict[str, Any]:
    """Return the report's section on one baseline: its metrics, and the model's lead in the first, or for texts all.

    Args:
        name: Of the baseline.
        theirs: Its predictions.
        context: Rows, truth, and the predictions of the model.
        joint: The settings at the confidence of the difference.
    """
    columns, references, labels = {"prediction": theirs}, context.references, context.labels
    settings: tuple[Any, ...] = (references, labels, context.config.evaluation, context.seed, context.clusters)
    available = computable(columns, context.recipe.metrics, labels)
    definitions = [definition for _, definition in available if definition is not None]
    section: dict[str, Any] = {
        "name": name,
        "title": name,
        "metrics": score(columns, references, definitions, *settings[1:]),
    }
    if definitions:
        differences = (
            difference(definition, context.columns, columns, references, labels, joint, *settings[3:])
            for definition in definitions
            if definition is definitions[0] or definition.value_type in ("string", "ranking")
        )
        first, *others = [item if not math.isnan(item["value"]) else None for item in differences]
        section |= {"difference": first, "further_differences": [item for item in others if item is not None]}
    return section
