"""Calibration on validation rows after training: the temperature, and thresholds where requested."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from toolkit.distributed.process_group import ALONE, Team
from toolkit.evaluation import entities, thresholds
from toolkit.evaluation.checks.calibration import choose_temperature
from toolkit.evaluation.context import references
from toolkit.evaluation.predict_rows import predict_rows
from toolkit.inference.model import StoredModel


def calibrate(stored: StoredModel, rows: pa.Table, team: Team = ALONE) -> dict[str, Any]:
    """Return the "calibration" entry of a model's card; empty for a model without class probabilities.

    Args:
        stored: The model.
        rows: Validation rows.
        team: The processes that share the work; each calls this with the same rows.
    """
    task = stored.recipe.task
    if task.stratum is None and not task.labels_words:
        return {}
    validation = predict_rows(stored, rows, "validation", None, team)
    columns, truth = validation.predictions.columns, references(stored.recipe, validation.table)
    if task.labels_words:
        words = entities.read_words(columns, truth)
        if words is None:
            return {}
        return _fitted(words.probabilities, words.labels, stored, "validation", words.sentences)
    probabilities = columns.get("probabilities")
    return {} if probabilities is None else settled(probabilities, truth, stored, "validation")


def settled(probabilities: Sequence[Any], truth: Sequence[int], stored: StoredModel, fitted_on: str) -> dict[str, Any]:
    """Return the same from probabilities (N, C) of rows that the model was not trained on.

    Args:
        probabilities: Probabilities of each class, for each row.
        truth: The true classes.
        stored: The model.
        fitted_on: What the rows are.
    """
    facts = _fitted(probabilities, truth, stored, fitted_on)
    settings = stored.config.evaluation
    positive = thresholds.class_number(settings.positive_class, stored.labels)
    if positive is not None:
        facts["screening"] = thresholds.choose(probabilities, truth, positive, settings.operating_points).as_dict()
    return facts


def _fitted(probabilities: Any, truth: Any, stored: StoredModel, fitted_on: str, groups: Any = None) -> dict[str, Any]:
    """Fit a temperature to rows, or to words that are grouped by their sentences."""
    confidence, seed = stored.config.evaluation.confidence, stored.config.training.seed
    fit = choose_temperature(probabilities, truth, confidence, seed, groups)
    facts: dict[str, Any] = {"fitted_on": fitted_on, "rows": fit.rows, "fit": fit.as_dict()}
    if fit.kept:
        facts["temperature"] = fit.temperature
    return facts
