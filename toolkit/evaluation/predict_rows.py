"""Predict the rows of a table with a stored model, for an evaluation."""

import pyarrow as pa

from toolkit import models
from toolkit.data.batching import vocabulary
from toolkit.distributed.process_group import ALONE, Team
from toolkit.evaluation import prediction_store
from toolkit.events import Observe
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import StoredModel
from toolkit.inference.predict_features import predict_features


def predict_rows(
    stored: StoredModel, rows: pa.Table, split: str, observe: Observe | None = None, team: Team = ALONE
) -> prediction_store.StoredPredictions:
    """Predict every row.

    Args:
        stored: The model.
        rows: Examples with their truth.
        split: What the rows are, in words.
        observe: Called with the progress.
        team: The processes that share the work; each calls this with the same rows.
    """
    loaded, recipe = stored.loaded, stored.recipe
    features = team.from_main(lambda: encode_rows(rows, loaded))
    predictions = predict_features(loaded, features, observe, team)
    parameters, size_bytes = models.size(loaded.model)
    facts = {
        "identity": identity(stored, rows),
        "recipe": stored.config.recipe,
        "target": stored.config.data.target,
        "labels": list(stored.labels),
        "name": stored.config.model,
        "split": split,
        "loss": predictions.loss,
        "truncated": features.truncated,
        "unread": vocabulary.unread_rows(rows, recipe.columns, loaded.processor),
        "columns": list(predictions.columns),
        "model": {
            "architecture": type(loaded.model).__name__,
            "parameters": parameters,
            "size_bytes": size_bytes,
        },
    }
    task = recipe.task
    table = prediction_store.table(rows, task.present(rows), task.inputs_in(rows), predictions)
    return prediction_store.StoredPredictions(table, facts)


def identity(stored: StoredModel, rows: pa.Table) -> str:
    """Return a digest of all that determines a model's predictions for `rows`."""
    config = stored.config
    settings = {
        "attention": config.attention,
        "max_length": config.data.max_length,
        "options": config.options,
        "labels": list(stored.labels),
        "precision": config.evaluation.precision,
        "acceleration": config.training.acceleration,
        **({"calibration": dict(stored.calibration)} if stored.recipe.target.decide is not None else {}),
    }
    roles = stored.recipe.task.present(rows)
    return prediction_store.identity(stored.folder, stored.recipe.file, rows, roles, settings)
