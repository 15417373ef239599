"""The inputs of an evaluation, determined before the model predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from toolkit import checkpoints, runs
from toolkit.config import RunConfig
from toolkit.events import Observe
from toolkit.inference.model import StoredModel
from toolkit.tasks.contract import Recipe


@dataclass(frozen=True)
class EvaluationInputs:
    """A saved model and the rows to evaluate it on.

    Attributes:
        checkpoint: The model's folder.
        recipe: The task.
        config: What was stored with the model, with the given values laid over it.
        labels: Names of the classes.
        rows: The rows of the evaluation.
        split: What the rows are, in words.
        facts: Facts about the data.
        run: The run that the model belongs to, if it is one.
        own: Whether the rows are the run's own held-out ones.
    """

    checkpoint: checkpoints.Checkpoint
    recipe: Recipe
    config: RunConfig
    labels: Sequence[str]
    rows: pa.Table
    split: str
    facts: Mapping[str, Any]
    run: runs.Run | None
    own: bool

    def stored(self, observe: Observe, *, slim: bool = True) -> StoredModel:
        """Return the model, which is loaded with its first prediction."""
        return StoredModel(self.checkpoint.path, self.recipe, self.labels, self.config, slim, observe)
