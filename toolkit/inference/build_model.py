"""Load a model for a task, with the configured attention, maximum length and trainable parameters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import checkpoints, models, weights
from toolkit.attention import positions
from toolkit.attention.implementations import sparse
from toolkit.config import RunConfig
from toolkit.events import Note, Observe
from toolkit.tasks.contract import Recipe
from toolkit.training.adaptation import adapters
from toolkit.training.adaptation.layer_groups import freeze


def build_model(
    recipe: Recipe,
    path: Path,
    labels: Sequence[str],
    config: RunConfig,
    observe: Observe | None,
    *,
    new_head: bool = False,
) -> Any:
    """Load a checkpoint by its recipe; extend its positions and replace its attention if configured.

    Args:
        recipe: The task.
        path: The checkpoint folder.
        labels: Names of the classes.
        config: The run's configuration.
        observe: Called with notes on the weights.
        new_head: Whether the head may be new, to be trained.

    Raises:
        ModelError: The checkpoint cannot be loaded, extended, or attend in that form.
    """
    with weights.watched() as loaded:
        model = recipe.build_model(path, recipe.target.head(labels), config, **recipe.target.model_arguments)
    for part in loaded:
        if not new_head:
            part.check_trained()
        if part.note is not None and observe is not None:
            observe(Note(part.note))
    reach = checkpoints.reach(model.config.to_dict())
    method = lengthening(config)
    if method is not None and reach is not None and reach < config.data.max_length:
        positions.extend(model, config.data.max_length, method)
    sparse.use(model, config.attention)
    return model


def lengthening(config: RunConfig) -> positions.Method | None:
    """Return how learned positions are to be lengthened; None where they are not."""
    return config.positions or (None if config.attention == "dense" else "repeat")


def restrain(model: Any, config: RunConfig, checkpoint: checkpoints.Checkpoint) -> Any:
    """Determine the trainable parameters; return peft's view of a model with adapters, else None.

    Raises:
        ConfigError: The model has no such layers or parameters, or none would be trained.
        ModelError: It does not support gradient checkpointing.
    """
    adapted = None
    if config.adapter.kind != "none":
        origin = checkpoints.hub_id(checkpoint.origin) or str(checkpoint.path.resolve())
        adapted = adapters.attach(model, config.adapter, origin, checkpoint.revision)
    if config.training.freeze is not None:
        freeze(model, config.training.freeze)
    if config.training.gradient_checkpointing:
        models.checkpoint_activations(model)
    return adapted


def check_restraints(
    recipe: Recipe, config: RunConfig, checkpoint: checkpoints.Checkpoint, labels: Sequence[str]
) -> None:
    """Refuse what `restrain` would refuse, on a model without weights, before any are loaded.

    Raises:
        ConfigError: As `restrain` does.
        ModelError: As `restrain` does.
    """
    plain = config.adapter.kind == "none" and config.training.freeze is None
    if config.loading.trust_remote_code or (plain and not config.training.gradient_checkpointing):
        return
    import torch

    bare = config.loading.model_copy(update={"from_scratch": True})
    try:
        with torch.device("meta"):
            model = recipe.build_model(
                checkpoint.path,
                recipe.target.head(labels),
                config.model_copy(update={"loading": bare}),
                **recipe.target.model_arguments,
            )
    except Exception:  # model classes that fail without weights report the fault when these are loaded
        return
    with torch.device("meta"):
        restrain(model, config, checkpoint)
