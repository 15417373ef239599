"""From predictions to figures with their doubt, for the model and its baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.config import EvaluationConfig, RunConfig
from toolkit.evaluation import intervals
from toolkit.evaluation.predict import Predictions
from toolkit.metrics import Metric, as_module, load
from toolkit.metrics import classification as classes_


def score(
    predictions: Sequence[Any],
    references: Sequence[Any],
    metrics: Sequence[str | Metric],
    labels: Sequence[str],
    config: EvaluationConfig,
    seed: int,
) -> list[dict[str, Any]]:
    """Compute each metric through its `evaluate` module, with a bootstrap interval where it is the toolkit's own.

    Args:
        predictions: One an example.
        references: The truth, one an example.
        metrics: Names or definitions.
        labels: Names of the classes; empty for a task without.
        config: Confidence and resamples.
        seed: Of the bootstrap.

    Returns:
        For each figure {"name", "title", "value", "low", "high", "unit"}.
    """
    figures = []
    for metric in metrics:
        module, definition = load(metric)
        if definition is None:
            for name, value in module.compute(predictions=predictions, references=references).items():
                if isinstance(value, int | float):
                    figures.append(_figure(name, name, value, None, None, "score"))
            continue
        value = as_module(definition, labels).compute(predictions=predictions, references=references)[definition.name]
        interval = figure_interval(definition, predictions, references, labels, config, seed)
        figures.append(_figure(definition.name, definition.title, value, interval.low, interval.high, definition.unit))
    return figures


def values(
    predictions: Sequence[Any], references: Sequence[Any], metrics: Sequence[str | Metric], labels: Sequence[str]
) -> dict[str, float]:
    """Compute each metric without its interval, as validation during training needs it."""
    found: dict[str, float] = {}
    for metric in metrics:
        module, definition = load(metric)
        if definition is not None:
            module = as_module(definition, labels)
        computed = module.compute(predictions=predictions, references=references)
        found.update({name: float(value) for name, value in computed.items() if isinstance(value, int | float)})
    return found


def _figure(name: str, title: str, value: float, low: float | None, high: float | None, unit: str) -> dict[str, Any]:
    return {"name": name, "title": title, "value": value, "low": low, "high": high, "unit": unit}


def figure_interval(
    metric: Metric,
    predictions: Sequence[Any],
    references: Sequence[Any],
    labels: Sequence[str],
    config: EvaluationConfig,
    seed: int,
) -> intervals.Interval:
    """Return a metric's interval; Wilson's where every example is right or every one is wrong."""
    statistics = metric.statistics(predictions, references, labels)
    total = statistics.sum(axis=0)
    if metric.proportion and total[0] in (0, total[1]):
        return intervals.wilson(total[0], total[1], config.confidence)
    return intervals.bootstrap(
        statistics, metric.aggregate, confidence=config.confidence, resamples=config.resamples, seed=seed
    )


def difference(
    metric: Metric,
    ours: Sequence[Any],
    theirs: Sequence[Any],
    references: Sequence[Any],
    labels: Sequence[str],
    config: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    """Return by how much one predictor is ahead of another on the same examples, with a paired interval."""
    found = intervals.paired_difference(
        metric.statistics(ours, references, labels),
        metric.statistics(theirs, references, labels),
        metric.aggregate,
        confidence=config.confidence,
        resamples=config.resamples,
        seed=seed,
    )
    return {"metric": metric.name, "value": found.value, "low": found.low, "high": found.high}


def per_class(
    predictions: Sequence[int], references: Sequence[int], labels: Sequence[str], config: EvaluationConfig, seed: int
) -> list[dict[str, Any]]:
    """Return precision, recall and F1 of each class with intervals."""
    statistics = classes_.class_counts(predictions, references, labels)
    total = statistics.sum(axis=0)
    drawn = intervals.resampled_sums(statistics, config.resamples, seed)
    left_out = total - statistics
    rows: list[dict[str, Any]] = [
        {"label": label, "support": int(count)} for label, count in zip(labels, total.reshape(3, -1)[2], strict=True)
    ]
    for name, figure in (("precision", classes_.precision), ("recall", classes_.recall), ("f1", classes_.f1)):
        value, samples, jackknife = figure(total), figure(drawn), figure(left_out)
        for number, row in enumerate(rows):
            found = intervals.bca(float(value[number]), samples[:, number], jackknife[:, number], config.confidence)
            row[name] = {"value": found.value, "low": found.low, "high": found.high}
    return rows


def confusion(predictions: Sequence[int], references: Sequence[int], labels: Sequence[str]) -> dict[str, Any]:
    """Count predictions by truth: rows are the truth, columns the prediction."""
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(matrix, (np.asarray(references, np.int64), np.asarray(predictions, np.int64)), 1)
    return {"labels": list(labels), "matrix": matrix.tolist()}


def confident_errors(
    columns: Mapping[str, Sequence[Any]], rows: Sequence[Mapping[str, Any]], labels: Sequence[str], most: int = 20
) -> list[dict[str, Any]]:
    """Return the wrong predictions that the model was surest of.

    Args:
        columns: Predictions; "prediction" and "probabilities".
        rows: The examples with "label", the recipe's text columns, "_file" and "_row".
        labels: Names of the classes.
        most: How many.
    """
    wrong = []
    for row, predicted, chances in zip(rows, columns["prediction"], columns["probabilities"], strict=True):
        if predicted != row["label"]:
            wrong.append(
                {
                    "file": row.get("_file"),
                    "row": row.get("_row"),
                    "text": " ⏎ ".join(str(row[role]) for role in ("text", "text_pair") if row.get(role)),
                    "label": labels[row["label"]],
                    "prediction": labels[predicted],
                    "confidence": float(max(chances)),
                }
            )
    return sorted(wrong, key=lambda error: -error["confidence"])[:most]


def evaluation_section(
    predictions: Predictions,
    rows: pa.Table,
    references: Sequence[Any],
    recipe: Any,
    labels: Sequence[str],
    config: RunConfig,
    split: str,
) -> dict[str, Any]:
    """Return the report's section on one split."""
    said, seed = predictions.columns["prediction"], config.training.seed
    section: dict[str, Any] = {
        "split": split,
        "rows": rows.num_rows,
        "confidence": config.evaluation.confidence,
        "labels": list(labels),
        "loss": predictions.loss,
        "metrics": score(said, references, recipe.METRICS, labels, config.evaluation, seed),
    }
    if any(column.kind == "label" for column in recipe.COLUMNS):
        section["per_class"] = per_class(said, references, labels, config.evaluation, seed)
        section["confusion"] = confusion(said, references, labels)
        if "probabilities" in predictions.columns:
            section["errors"] = confident_errors(predictions.columns, rows.to_pylist(), labels)
    return section


def baseline_section(
    name: str,
    theirs: Sequence[Any],
    ours: Sequence[Any],
    references: Sequence[Any],
    metrics: Sequence[Any],
    labels: Sequence[str],
    config: RunConfig,
) -> dict[str, Any]:
    """Return the report's section on one baseline: its figures, and the model's lead on the first of them."""
    seed = config.training.seed
    definitions = [definition for _, definition in map(load, metrics) if definition is not None]
    section: dict[str, Any] = {
        "name": name,
        "title": name,
        "metrics": score(theirs, references, definitions, labels, config.evaluation, seed),
    }
    if definitions:
        section["difference"] = difference(definitions[0], ours, theirs, references, labels, config.evaluation, seed)
    return section
