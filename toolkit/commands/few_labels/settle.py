"""Whether a run has few labels, and how that changes its parts.

With few labels no row is held out for validation: training methods are compared by cross-validation over all training
rows (`candidates`), and the chosen one is trained on all of them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from toolkit.commands import unlabelled
from toolkit.config import Resolved
from toolkit.data.load import Splits, part_facts
from toolkit.errors import ConfigError
from toolkit.tasks.contract import Recipe
from toolkit.training.loss import attention_loss

# `auto` compares training methods up to so many rows in all, or per class; beyond that the comparison takes too long.
FEW_ROWS = 128
ROWS_PER_CLASS = 16  # on average
ROWS = 500  # in all
PASSES = 6.0  # of fine-tuning, where not set: without validation rows nothing stops it earlier
_NEUTRAL = {  # keys under `training` that do not affect the weights
    *("few_labels", "seed", "device", "num_processes", "max_restarts", "precision", "trackers", "checkpoint_minutes"),
    *("acceleration", "attention_kernel", "compile", "tune_speed", "micro_batch_size", "micro_batch_tokens"),
    *("linear_probe", "mean_pooling"),
}
_OWN = ("default", "recipe", "from the model")  # layers that the user did not set


def settle(resolved: Resolved, recipe: Recipe, splits: Splits) -> tuple[Resolved, Splits]:
    """Decide whether the run compares training methods, and move automatic validation rows back to train.

    Args:
        resolved: The configuration so far; `training.few_labels` is on or off afterwards.
        recipe: The task.
        splits: The data.

    Raises:
        ConfigError: As of `check`; or texts without labels are given, and the run does not compare training methods.
        ToolkitError: As of `unlabelled.check_texts`.
    """
    check(resolved, recipe)
    wanted, obstacle = resolved.config.training.few_labels, _obstacle(resolved, recipe)
    pooled = _pooled(splits, recipe.task.stratum)
    rows = pooled.train.num_rows
    most = max(FEW_ROWS, min(ROWS, ROWS_PER_CLASS * len(splits.labels)))
    if rows > most:
        obstacle = obstacle or f"more than {most:,}"
    elif _planned(resolved):
        obstacle = obstacle or "the training is configured"
    chosen = wanted == "on" or (wanted == "auto" and obstacle is None)
    source = f"from {rows:,} labelled rows"
    if wanted == "auto":
        rule, value = (f"at most {most:,}", "on") if chosen else (obstacle, "off")
        origin = f"{source}: {rule}" if recipe.task.takes_few_labels else "recipe"
        resolved = resolved.with_values(origin, {"training": {"few_labels": value}})
    if chosen and resolved.origin("training.epochs") == "default":
        rule = f"{PASSES:g} passes of fine-tuning, which no validation rows stop earlier"
        resolved = resolved.with_values(f"{source}: {rule}", {"training": {"epochs": PASSES}})
    if resolved.config.data.unlabelled is not None:
        if not chosen:
            raise ConfigError(
                f"`data.unlabelled` is one of the training methods for few labels, and {rows:,} labelled rows are not "
                "compared by themselves.",
                "Add --few to compare, or run `toolkit pretrain` first and use its result as --model.",
                id="config.conflict",
            )
        unlabelled.check_texts(recipe, unlabelled.configure_for(recipe, resolved, ""))
    return (resolved, pooled) if chosen else (resolved, splits)


def check(resolved: Resolved, recipe: Recipe) -> None:
    """Refuse `training.few_labels=on` where it cannot apply, before any data are read.

    Raises:
        ConfigError: `training.few_labels` is on, or `data.unlabelled` given, and the task or another setting does not
            allow it.
    """
    obstacle, adapts = _obstacle(resolved, recipe), resolved.config.data.unlabelled is not None
    keys = {"training.few_labels": resolved.config.training.few_labels == "on", "data.unlabelled": adapts}
    wanted = [key for key, applies in keys.items() if applies]
    if wanted and obstacle is not None:
        raise ConfigError(f"`{wanted[0]}` is set, but {obstacle}.", "Unset one of the two.", id="config.conflict")
    if adapts and resolved.config.training.few_labels == "off":
        raise ConfigError(
            "`data.unlabelled` is set, but `training.few_labels` is off.", "Unset one of the two.", id="config.conflict"
        )


def _obstacle(resolved: Resolved, recipe: Recipe) -> str | None:
    """Return why training methods cannot be compared, as the end of a sentence; None where they can."""
    config = resolved.config
    reasons: Mapping[str, bool] = {
        "the rows are not texts with one class each": not recipe.task.takes_few_labels,
        "training starts from scratch": config.loading.from_scratch,
        "`training.linear_probe` is off": not config.training.linear_probe,
        "`training.budget` is set": config.training.budget is not None,
        "`training.ema_decay` is set": config.training.ema_decay is not None,
        "`training.freeze` is set": config.training.freeze is not None,
        "`training.strategy` is fsdp": config.training.strategy == "fsdp",
        "`adapter.kind` is set": config.adapter.kind != "none",
        "`attention` is sparse": config.attention != "dense",
        "an attention loss is set": attention_loss.wanted(config.loss),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def _planned(resolved: Resolved) -> bool:
    """Whether the user configured the training: then no method is chosen."""
    return any(
        resolved.layer(name) not in _OWN and (section == "loss" or (section == "training" and key not in _NEUTRAL))
        for name, (section, _, key) in ((name, name.partition(".")) for name in resolved.origins)
    )


def _pooled(splits: Splits, label: str | None) -> Splits:
    """Return the parts with the automatic validation rows moved back to train."""
    facts: list[dict[str, Any]] = splits.facts["splits"]
    carved = next((part for part in facts if part["name"] == "validation" and not part["given"]), None)
    if carved is None:
        return splits
    train = pa.concat_tables([splits.train, splits.validation]).unify_dictionaries()
    given = next(part["given"] for part in facts if part["name"] == "train")
    joined = part_facts("train", train, label, splits.labels, given)
    others = [part for part in facts if part["name"] not in ("train", "validation")]
    note = "No rows are held out for validation: all are used for training, and predicted by cross-validation."
    return replace(
        splits,
        train=train,
        validation=splits.validation.slice(0, 0),
        facts={**splits.facts, "splits": [joined, *others], "notes": [*splits.facts["notes"], note]},
    )
