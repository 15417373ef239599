"""The values that a run would use, found without a download of the model."""

from toolkit import checkpoints
from toolkit.commands.few_labels import settle
from toolkit.commands.finetune import defaults
from toolkit.commands.finetune.prepare import fit_to_model, with_target
from toolkit.commands.time_budget.auto_model import choose_model
from toolkit.config import Resolved
from toolkit.data.load import load_splits
from toolkit.errors import ToolkitError
from toolkit.tasks.contract import Recipe


def preview(recipe: Recipe, resolved: Resolved, *, read_data: bool) -> Resolved:
    """Fill in what follows from the model, where it is on this machine, and from the data.

    Args:
        recipe: The task.
        resolved: From `configure`.
        read_data: Whether to read the data that the configuration names.

    Raises:
        ConfigError: A value does not suit the model, the task or the data.
        DataError: The data cannot be read.
    """
    if read_data:
        resolved = choose_model(recipe, resolved, lambda _event: None)
    checkpoint = _on_this_machine(resolved)
    if checkpoint is not None:
        resolved, _ = fit_to_model(resolved, checkpoint)
    if read_data:
        config = resolved.config
        splits = load_splits(recipe, config.data, config.training.seed, config.options)
        recipe, resolved = with_target(recipe, resolved, splits)
        resolved, splits = settle.settle(resolved, recipe, splits)
        resolved = defaults.fill(resolved, splits.train_rows)
    return resolved


def _on_this_machine(resolved: Resolved) -> checkpoints.Checkpoint | None:
    """Return the checkpoint, or None where it would be downloaded, made from the data, or refused."""
    config = resolved.config
    try:
        return checkpoints.locate(config.model, config.loading, config.options, download=False)
    except ToolkitError:
        return None
