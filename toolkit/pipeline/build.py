"""Load a model for a task, with the attention and the reach that the configuration asks for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import checkpoints, recipes
from toolkit.attention import positions, sparse
from toolkit.config import RunConfig


def build_model(recipe: recipes.Recipe, path: Path, labels: Sequence[str], config: RunConfig) -> Any:
    """Load a checkpoint by its recipe; extend its positions and exchange its attention where that was asked for.

    Raises:
        ModelError: The checkpoint cannot be loaded, extended, or attend in that form.
    """
    model = recipe.build_model(path, labels, config)
    reach = checkpoints.reach(model.config.to_dict())
    way = lengthening(config)
    if way is not None and reach is not None and reach < config.data.max_length:
        positions.extend(model, config.data.max_length, way)
    sparse.use(model, config.attention)
    return model


def lengthening(config: RunConfig) -> positions.Way | None:
    """Return how learned positions are to be lengthened; None where they are not."""
    return config.positions or (None if config.attention == "dense" else "repeat")
