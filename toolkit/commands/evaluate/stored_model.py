"""A saved model with what is stored beside it: its folder, recipe, configuration and class names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolkit import checkpoints, model_metadata, runs
from toolkit.commands.finetune.prepare import configure_stored
from toolkit.config import RunConfig, resolve
from toolkit.errors import ModelError
from toolkit.evaluation.perturbations.counterfactual import polarity
from toolkit.tasks import loading
from toolkit.tasks.contract import Recipe

_BY_POLARITY = {"text": "sentiment"}  # recipe → the one for models of its class whose classes have a polarity


def find_stored(
    target: str, values: Mapping[str, Any], recipe_name: str | None
) -> tuple[checkpoints.Checkpoint, Recipe, RunConfig, Sequence[str]]:
    """Find a model with all that is stored beside it: its folder, its recipe, its configuration, names of its classes.

    Args:
        target: Run directory, alias, folder or Hub id.
        values: Nested configuration values laid over the stored ones.
        recipe_name: The task; the one stored with the model, or that its class says, when None.

    Raises:
        CallError: There is no such model, it may not be loaded, or its recipe is not at hand.
    """
    allowed = resolve([("flag", {"recipe": "-", "loading": values.get("loading", {})})]).config.loading
    checkpoint = checkpoints.locate(target, allowed)
    recipe, config = stored_configuration(checkpoint, values, recipe_name)
    labels: Sequence[str] = ()
    if recipe.task.labelled is not None:
        if not stored_card(checkpoint):
            checkpoints.check_head(checkpoint)
        labels = checkpoints.label_names(checkpoint)
        _check_labels(target, checkpoint, labels)
    return checkpoint, recipe, config, labels


def _check_labels(target: str, checkpoint: checkpoints.Checkpoint, labels: Sequence[str]) -> None:
    """Refuse a model whose class names differ from those of its training: they were changed afterwards.

    Raises:
        ModelError: With both.
    """
    learned = stored_card(checkpoint).get("labels")
    of_run = runs.Run(Path(target)).facts.get("labels") if runs.is_run(Path(target)) else None
    if learned and of_run and list(learned) != list(of_run) and set(map(str, learned)) == set(map(str, of_run)):
        raise ModelError(  # no new names: the held-out rows store numbers, and their labels would be swapped as well
            f"The classes in {checkpoint.path / runs.CARD} are in a different order than in the run's run.json.\n"
            f"  {runs.CARD}: {', '.join(map(str, learned))}\n  run.json:     {', '.join(map(str, of_run))}",
            "Restore the order of run.json, here and in config.json. If labels of the data are swapped, "
            "train again with `data.label_map`.",
            id="model.classes-mismatch",
        )
    learned = learned or of_run
    if learned and list(learned) != list(labels):
        raise ModelError(
            f"The classes in {checkpoint.path / 'config.json'} (id2label) differ from those of the training.\n"
            f"  config.json: {', '.join(labels)}\n  trained:     {', '.join(map(str, learned))}",
            f"Restore them, or, if you renamed them on purpose, change `labels` in {runs.CARD} next to it as well.",
            id="model.classes-mismatch",
        )


def stored_configuration(
    checkpoint: checkpoints.Checkpoint, values: Mapping[str, Any], recipe_name: str | None
) -> tuple[Recipe, RunConfig]:
    """Merge the given values over those stored with the model."""
    stored = stored_card(checkpoint)
    trusted = bool(values.get("loading", {}).get("trust_remote_code"))
    name = model_metadata.recipe_of(stored, checkpoint.path, recipe_name, trusted=trusted)
    name = name or _task_of(checkpoint)
    given = {**values, "model": checkpoint.name}
    recipe, resolved = configure_stored(name, [("model", model_metadata.values(stored)), ("flag", given)])
    longest = checkpoints.longest_input(checkpoint)
    if longest is not None and resolved.config.data.max_length > longest:
        resolved = resolved.with_values("from the model", {"data": {"max_length": longest}})
    recipe = replace(recipe, columns=recipe.task.learned(stored.get("inputs", {})))
    return recipe.for_checkpoint(checkpoint.path), resolved.config


def _task_of(checkpoint: checkpoints.Checkpoint) -> str:
    """Return the recipe for a model of another program, by its class and the names of its classes."""
    task = checkpoints.task_of(checkpoint) or "text"
    special = _BY_POLARITY.get(task)
    known = special is not None and polarity(loading.load(special), checkpoints.label_names(checkpoint)) is not None
    return special if special is not None and known else task


def stored_card(checkpoint: checkpoints.Checkpoint) -> dict[str, Any]:
    """Read what is stored next to the weights for later commands; empty for a model of another program."""
    return model_metadata.read(checkpoint.path)


def shown(target: str) -> str:
    """Return how others see the model named: of a folder its last part, since the rest is this machine's."""
    return Path(target).resolve().name if Path(target).exists() else target
