"""Rows of a table as model inputs."""

from typing import Any

import pyarrow as pa

from toolkit.config import RunConfig
from toolkit.data.batching.batch import Features, encode
from toolkit.tasks.contract import Recipe
from toolkit.training.loop.objective import RATIONALE


def encode_rows(rows: pa.Table, recipe: Recipe, processor: Any, config: RunConfig) -> Features:
    """Turn a table into model inputs."""
    encoded = encode(input_columns(rows, recipe), lambda batch: recipe.preprocess(batch, processor, config))
    return encoded.without(RATIONALE)  # only for training


def input_columns(rows: pa.Table, recipe: Recipe) -> pa.Table:
    """Return the columns that the recipe reads."""
    return rows.select(recipe.task.present(rows))
