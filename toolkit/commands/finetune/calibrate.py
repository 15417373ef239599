"""Calibration on validation rows after training: the temperature, and thresholds where requested."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from toolkit.distributed.process_group import ALONE, Team
from toolkit.evaluation import thresholds
from toolkit.evaluation.context import clusters, references
from toolkit.evaluation.predict_rows import predict_rows
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.promises import selective
from toolkit.evaluation.statistics.temperature import fitted
from toolkit.inference.model import StoredModel


def calibrate(
    stored: StoredModel, rows: pa.Table, team: Team = ALONE, predicted: Mapping[str, Sequence[Any]] | None = None
) -> dict[str, Any]:
    """Return the "calibration" entry of a model's card; empty for a model without class probabilities.

    Args:
        stored: The model, without any calibration.
        rows: Validation rows.
        team: The processes that share the work; each calls this with the same rows.
        predicted: The model's predictions of the rows, column by column, in their order; computed when None.
    """
    if not stored.recipe.task.takes_calibration:
        return {}
    own, settings = stored.recipe.target.calibrate, stored.config
    columns = predicted or predict_rows(stored, rows, "validation", None, team).predictions.columns
    truth = references(stored.recipe, rows)
    together = clusters(stored.recipe.task, rows, settings.data.group_column)
    if own is not None:
        return own(columns, truth, stored.labels, settings.evaluation, settings.training.seed, together)
    probabilities = columns.get("probabilities")
    return {} if probabilities is None else settled(probabilities, truth, stored, "validation", together)


def settled(
    probabilities: Sequence[Any],
    truth: Sequence[int],
    stored: StoredModel,
    fitted_on: str,
    together: Integers | None = None,
) -> dict[str, Any]:
    """Return the same from probabilities (N, C) of rows that the model was not trained on.

    Args:
        probabilities: Probabilities of each class, for each row.
        truth: The true classes.
        stored: The model.
        fitted_on: What the rows are.
        together: Number of each row's cluster; None where rows are independent. Shape (N,).
    """
    settings, seed = stored.config.evaluation, stored.config.training.seed
    facts = fitted(probabilities, truth, settings.confidence, seed, fitted_on, clusters=together)
    facts["validation_rows"] = selective.kept(probabilities, truth, together, seed)
    positive = thresholds.class_number(settings.positive_class, stored.labels)
    if positive is not None:
        facts["screening"] = thresholds.choose(
            probabilities, truth, positive, settings.operating_points, together, settings.confidence
        ).as_dict()
    return facts
