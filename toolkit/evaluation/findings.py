"""What the predictions show beyond the figures; nothing is asked of the model again."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from toolkit.config import RunConfig
from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import scores
from toolkit.evaluation.checks import calibration, generation_quality, label_errors, operating_points, slices
from toolkit.evaluation.duplicates import near_duplicate_images, near_duplicates
from toolkit.inference.predict import Predictions


def findings(
    predictions: Predictions,
    rows: pa.Table,
    references: Sequence[Any],
    recipe: Any,
    labels: Sequence[str],
    config: RunConfig,
    temperature: float | None,
    pairs: Sequence[dict[str, Any]] | None,
    thresholds: operating_points.Chosen | None = None,
    fit: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the report's sections on groups, and for classes with probabilities those on calibration and labels.

    Args:
        predictions: What the model said.
        rows: The examples.
        references: The truth.
        recipe: The task.
        labels: Names of the classes.
        config: The run's configuration.
        temperature: Fitted on validation; None where there is none.
        thresholds: Chosen on validation rows; None where there are none.
        fit: How the temperature was found, or why there is none; None where that is not known.
        pairs: Test rows that repeat training rows, from `near_duplicates.describe`; None where nobody looked.
    """
    columns, seed, settings = predictions.columns, config.training.seed, config.evaluation
    inputs = text_roles(recipe, rows)
    target = recipe.COLUMNS[-1]
    found: dict[str, Any] = {}
    classes = None
    if target.kind == "label":
        classes = [labels[number] for number in references]
        if "probabilities" in columns:
            chances = columns["probabilities"]
            found["calibration"] = calibration.section(chances, references, settings, seed, temperature, fit)
            positive = settings.positive_class
            if thresholds is not None and positive is not None and positive in labels:
                number = list(labels).index(positive)
                found["screening"] = operating_points.section(
                    chances, references, number, labels, thresholds, settings.confidence
                )
            shown = [column.role for column in recipe.COLUMNS if column.is_input and column.role in rows.column_names]
            found["label_errors"] = label_errors.section(chances, references, rows, labels, shown)
    if target.kind in ("label", "labels"):
        right = [said == true for said, true in zip(columns["prediction"], references, strict=True)]
        texts = [scores.shown_text(row, inputs) for row in rows.select(inputs).to_pylist()]
        roles = [column.role for column in recipe.COLUMNS]
        found["slices"] = slices.section(right, rows, texts, classes, roles, settings.confidence, seed)
    if target.kind == "target_text":
        sources = [scores.shown_text(row, inputs) for row in rows.select(inputs).to_pylist()]
        found["writing"] = generation_quality.section(sources, columns, references, rows, recipe.METRICS, settings)
    if pairs is not None:
        of_texts = bool(inputs)
        found["near_duplicates"] = near_duplicates.section(
            pairs,
            rows,
            columns,
            references,
            recipe.METRICS,
            labels,
            config,
            inputs or picture_roles(recipe, rows),
            target.role,
            kind="text" if of_texts else "image",
            threshold=near_duplicates.THRESHOLD if of_texts else near_duplicate_images.THRESHOLD,
        )
    return found


def repeated(recipe: Any, train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[dict[str, Any]] | None:
    """Return the test rows that nearly repeat a training row, as a run keeps them; None where that takes too long.

    Args:
        recipe: The task.
        train: Rows that were learned from.
        test: Held-out rows.
        labels: Names of the classes.
    """
    inputs = text_roles(recipe, train)
    if inputs:
        if train.num_rows + test.num_rows > near_duplicates.MOST_COMPARED:
            return None
        pairs = near_duplicates.find(near_duplicates.texts(train, inputs), list(near_duplicates.texts(test, inputs)))
    else:
        inputs = picture_roles(recipe, train)
        if len(inputs) != 1 or train.num_rows * test.num_rows > near_duplicate_images.MOST_COMPARED:
            return None
        pairs = near_duplicate_images.find(train[inputs[0]], test[inputs[0]])
    return near_duplicates.describe(pairs, train, inputs, recipe.COLUMNS[-1].role, labels)


def picture_roles(recipe: Any, rows: pa.Table) -> list[str]:
    """Return the columns of `rows` that hold what the recipe reads as pictures."""
    return [c.role for c in recipe.COLUMNS if c.kind == "image" and c.role in rows.column_names]


def text_roles(recipe: Any, rows: pa.Table) -> list[str]:
    """Return the columns of `rows` that hold what the recipe reads as text."""
    return [c.role for c in recipe.COLUMNS if c.kind in ("text", "words") and c.role in rows.column_names]


def stored_thresholds(card: Mapping[str, Any], settings: EvaluationConfig) -> operating_points.Chosen | None:
    """Return the thresholds that are stored with a model, or None where there are none for what is to be found now."""
    meant = card.get("evaluation") or {}
    if any(meant.get(key) != getattr(settings, key) for key in ("positive_class", "operating_points")):
        return None
    return operating_points.Chosen.of(_calibration(card).get("screening"))


def stored_fit(card: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return how the stored temperature was found, or why there is none; None where a model does not say."""
    fit = _calibration(card).get("fit")
    return fit if isinstance(fit, Mapping) else None


def stored_temperature(card: Mapping[str, Any]) -> float | None:
    """Return the temperature that is stored with a model, or None."""
    value = _calibration(card).get("temperature")
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _calibration(card: Mapping[str, Any]) -> Mapping[str, Any]:
    stored = card.get("calibration")
    return stored if isinstance(stored, Mapping) else {}
