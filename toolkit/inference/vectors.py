"""Predictions with a vector for each row: what the model computes of it below its output layer."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.batching.batch import probe
from toolkit.events import Observe
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import LoadedModel
from toolkit.inference.predict import Predictions
from toolkit.inference.predict_features import predict_features
from toolkit.tasks.contract import with_accepted
from toolkit.training.adaptation import feature_vectors
from toolkit.training.adaptation.feature_vectors import HEAD, MEAN

Floats = np.ndarray[Any, np.dtype[np.float32]]
_VECTOR = "vector"  # column of predictions


def predict_with_vectors(
    loaded: LoadedModel, rows: pa.Table, observe: Observe | None = None
) -> tuple[Predictions, Floats]:
    """Predict rows in one forward pass that also gives their vectors.

    Args:
        loaded: A model with one vector for each row.
        rows: In the recipe's roles.
        observe: Called with the progress.

    Returns:
        The predictions, and vectors (N, D): the mean over the tokens, or what reaches the output layer.
    """
    features = encode_rows(rows, loaded)
    recipe, config = loaded.recipe, loaded.config
    batch = probe(features, partial(recipe.collate, processor=loaded.processor))
    extract = with_accepted(recipe.predictions, processor=loaded.processor)
    with feature_vectors.capturing(loaded.model, feature_vectors.output_layer(loaded.model, batch)) as captured:

        def predictions(outputs: Any, inputs: Mapping[str, Any]) -> dict[str, list[Any]]:
            pooled = feature_vectors.pooled(captured, inputs, by_word=False)
            captured.clear()
            return {**extract(outputs, inputs), _VECTOR: list(pooled[MEAN] if MEAN in pooled else pooled[HEAD])}

        padded = config.model_copy(update={"training": config.training.model_copy(update={"acceleration": "off"})})
        watched = replace(loaded, recipe=replace(recipe, predictions=predictions), config=padded)
        made = predict_features(watched, features, observe)
    columns = dict(made.columns)
    return replace(made, columns=columns), np.stack(columns.pop(_VECTOR)).astype(np.float32)
