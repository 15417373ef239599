"""Texts without labels: the configuration that pretrains on them, the rows, and what is refused."""

from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import checkpoints
from toolkit.config import Resolved, RunConfig, resolve
from toolkit.data.load import load_table
from toolkit.errors import DataError, ModelError
from toolkit.tasks.contract import Recipe

_HELD_OUT = 0.05  # of the texts, on which perplexity is measured
_FEWEST, _MOST = 10, 2000  # texts held out
_SHARED = ("seed", "device", "precision", "acceleration", "attention_kernel", "micro_batch_size", "micro_batch_tokens")


def configure_for(recipe: Recipe, resolved: Resolved, output: str) -> Resolved:
    """Return the configuration that pretrains the model of a run on the run's texts without labels.

    Args:
        recipe: The run's task.
        resolved: The run's configuration; `data.unlabelled` is set.
        output: Folder of the checkpoint.
    """
    config = resolved.config
    columns = {
        role: name
        for role, name in config.data.columns.items()
        if role in {column.role for column in recipe.task.inputs}
    }
    values = {
        "model": config.model,
        "output": output,
        "options": config.options,
        "loading": config.loading.model_dump(),
        "data": {"source": config.data.unlabelled, "max_length": config.data.max_length, "columns": columns},
        "training": {key: getattr(config.training, key) for key in _SHARED},
    }
    return resolve([("command", {"recipe": config.recipe}), ("recipe", recipe.defaults), ("unlabelled texts", values)])


def check_texts(recipe: Recipe, resolved: Resolved) -> None:
    """Refuse texts without labels that cannot be pretrained on, before a run begins.

    Args:
        recipe: The task.
        resolved: As of `configure_for`.

    Raises:
        SourceError: They cannot be read.
        DataError: There are too few.
        ModelError: The model's tokenizer has no mask token.
    """
    checkpoint = checkpoints.locate(resolved.config.model, resolved.config.loading, resolved.config.options)
    load_processor(recipe, checkpoint, resolved.config)
    parts(recipe, resolved)


def load_processor(recipe: Recipe, checkpoint: checkpoints.Checkpoint, config: RunConfig) -> Any:
    """Load the tokenizer of a checkpoint that masked language modelling starts from.

    Raises:
        ModelError: It has no mask token.
    """
    processor = recipe.load_processor(checkpoint.path, config)
    if processor.mask_token_id is None:
        raise ModelError(
            f"The tokenizer of {checkpoint.name} has no mask token, so its model was not pretrained by masking.",
            "Use a model such as minilm, distilbert or roberta.",
            id="model.no-mask-token",
        )
    return processor


def parts(recipe: Recipe, resolved: Resolved) -> tuple[pa.Table, pa.Table]:
    """Return the texts to learn from and those held out; a part named test or validation is not read."""
    config = resolved.config
    table = load_table(recipe, config.data, lenient=True, options=config.options)
    rows = table.parts.get("train", table.parts.get("all"))
    if rows is None:
        raise DataError(
            f"{config.data.source} has no train part.", "Give the file with the texts.", id="data.no-train-part"
        )
    inputs = recipe.task.inputs_in(rows)
    texts = rows.select(inputs).group_by(inputs).aggregate([])  # each text once
    count = min(_MOST, max(_FEWEST, round(_HELD_OUT * texts.num_rows)))
    if texts.num_rows < 2 * count:
        raise DataError(
            f"{texts.num_rows} different texts are too few to train on.",
            f"Give {2 * count} or more.",
            id="data.too-few-rows",
        )
    order = np.random.default_rng(config.training.seed).permutation(texts.num_rows)
    return texts.take(np.sort(order[count:])), texts.take(np.sort(order[:count]))
