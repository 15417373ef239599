"""Predictions of a loaded model, from one forward pass or generated token by token, by its recipe."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from toolkit.data.batching.batch import Features
from toolkit.distributed.process_group import ALONE, Team
from toolkit.events import Counted, Observe
from toolkit.inference.generate import write
from toolkit.inference.model import LoadedModel
from toolkit.inference.predict import Predictions, predict
from toolkit.tasks.contract import with_accepted


def predict_features(
    loaded: LoadedModel,
    features: Features,
    observe: Observe | None = None,
    team: Team = ALONE,
    collate: Callable[..., dict[str, Any]] | None = None,
    *,
    answers: bool = True,
) -> Predictions:
    """Predict every example.

    Args:
        loaded: The model.
        features: The examples.
        observe: Called with the progress.
        team: The processes that share the work.
        collate: Stacks examples; the recipe's when None.
        answers: Whether to generate predictions, in addition to the loss, of a task that needs it.
    """
    recipe, settings = loaded.recipe, loaded.config.evaluation
    common: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "precision": settings.precision,
        "observe": None if observe is None else lambda done, total: observe(Counted(done, total)),
        "team": team,
    }
    padded = loaded.config.training.acceleration == "off"
    collate = collate or partial(recipe.collate, processor=loaded.processor)
    if recipe.generate is None:
        extract = with_accepted(recipe.predictions, processor=loaded.processor)
        predictions = predict(loaded.model, features, collate, extract, padded=padded, **common)
        decide = recipe.target.decide
        if decide is not None:
            predictions = replace(predictions, columns=decide(predictions.columns, loaded.calibration))
        return _outside(predictions, loaded)
    loss = None
    if "labels" in features.columns:
        quiet = {**common, "observe": None} if answers else common
        loss = predict(loaded.model, features, collate, lambda _outputs, _batch: {}, padded=padded, **quiet).loss
    if not answers:
        return Predictions({}, loss)
    generate = partial(recipe.generate, processor=loaded.processor, config=loaded.config)
    tokens = settings.batch_tokens
    device = loaded.model.device
    return Predictions(write(loaded.model, features, collate, generate, tokens=tokens, device=device, **common), loss)


def _outside(predictions: Predictions, loaded: LoadedModel) -> Predictions:
    """Assign words beyond the maximum length the recipe's class for outside words, if the labels have it."""
    outside = loaded.recipe.outside
    if outside is None or outside not in loaded.labels:
        return predictions
    number = loaded.labels.index(outside)
    rows = [[number if label is None else label for label in row] for row in predictions.columns["prediction"]]
    return replace(predictions, columns={**predictions.columns, "prediction": rows})
