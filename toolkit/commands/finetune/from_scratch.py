"""An untrained model for the training rows: a new vocabulary, a size that fits, random weights."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from toolkit import __version__, checkpoints, environment, runs
from toolkit.config import Resolved, RunConfig
from toolkit.data.load import Splits
from toolkit.data.tables.digest import table_digest
from toolkit.events import Observe, Stage
from toolkit.inference.encode import input_columns
from toolkit.tasks import catalogue
from toolkit.tasks.contract import Recipe

NAME = "from-scratch"


def wanted(recipe: Recipe, resolved: Resolved) -> bool:
    """Whether the run starts from scratch: without weights or a named architecture, with a recipe that creates one.

    A recipe whose model is `NAME` always does, unless another is named.
    """
    if recipe.start is None:
        return False
    unnamed = resolved.origin("model") in ("default", "recipe")
    return resolved.config.model == NAME or (resolved.config.loading.from_scratch and unnamed)


def make(recipe: Recipe, config: RunConfig, splits: Splits, observe: Observe) -> checkpoints.Checkpoint:
    """Make the checkpoint that training starts from, once for the same rows and settings.

    It stays in the user's cache folder, so that a resumed run starts from the same weights.
    """
    assert recipe.start is not None  # or nothing is `wanted`
    folder = _folder(recipe, config, splits)
    if not (folder / "config.json").is_file():
        observe(Stage("Writing a model with random weights"))
        with runs.aside(folder) as draft:
            recipe.start(input_columns(splits.train, recipe), draft, config)
    return checkpoints.Checkpoint(NAME, folder, NAME, None, None, runs.read_object(folder / "config.json"))


def completed(
    recipe: Recipe, config: RunConfig, splits: Splits, checkpoint: checkpoints.Checkpoint
) -> checkpoints.Checkpoint:
    """Return the checkpoint with what it lacks and the training rows decide; the same one where it lacks nothing."""
    rows = input_columns(splits.train, recipe)
    write = recipe.complete(rows, checkpoint.path, config) if recipe.complete is not None else None
    if write is None:
        return checkpoint
    folder = _folder(recipe, config, splits, str(checkpoint.path.resolve()))
    if not (folder / "config.json").is_file():
        with runs.aside(folder) as draft:
            write(draft)
    return replace(checkpoint, path=folder, config=runs.read_object(folder / "config.json"))


def _folder(recipe: Recipe, config: RunConfig, splits: Splits, *more: str) -> Path:
    """Return where a checkpoint lies that the training rows and settings determine."""
    rows = input_columns(splits.train, recipe)
    settings = [config.options, config.data.max_length, config.training.seed, __version__, *more]
    settings += [environment.version(package) for package in ("tokenizers", "transformers", "torch")]
    made_of = json.dumps([table_digest(rows, rows.column_names), runs.digest(catalogue.find(config.recipe)), *settings])
    return environment.cache_folder() / "fresh" / hashlib.sha256(made_of.encode()).hexdigest()[:32]
