"""Rows of a table as model inputs."""

import pyarrow as pa

from toolkit.data.batching.batch import Features, encode
from toolkit.inference.model import LoadedModel
from toolkit.tasks.contract import Recipe
from toolkit.training.loop.objective import RATIONALE


def encode_rows(rows: pa.Table, subject: LoadedModel) -> Features:
    """Turn a table into inputs of a model."""
    encoded = encode(input_columns(rows, subject.recipe), subject.preprocess)
    return encoded.without(RATIONALE)  # for training alone


def input_columns(rows: pa.Table, recipe: Recipe) -> pa.Table:
    """Return the columns that the recipe reads."""
    return rows.select(recipe.task.present(rows))
