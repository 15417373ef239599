"""Training values that depend on the rows, where neither the user nor the recipe sets them.

A small table needs about as many optimizer steps as a larger one, so it gets smaller
batches and more passes.
"""

import math

from toolkit.commands.finetune.from_scratch import NAME
from toolkit.config import Resolved

STEPS = 400  # optimizer steps that a run has at least, while that takes no more than `PASSES` passes
PASSES = 4
FEWEST_STEPS = 200  # steps that it has at least, while that takes no more than `MOST_PASSES` passes
MOST_PASSES = 20
FEWEST_PASSES = 2
FROM_SCRATCH = 6  # times as many steps and passes for random weights
KEYS = ("training.batch_size", "training.epochs", "training.early_stopping_patience")
_BATCHES = (8, 16, 32)
_BATCHES_OF_A_PASS = 64  # steps that remain with a larger batch


def fill(resolved: Resolved, rows: int) -> Resolved:
    """Set batch size, epochs and patience by the number of training rows, where nothing else sets them.

    Args:
        resolved: The configuration so far.
        rows: Training rows.
    """
    training = resolved.config.training
    unset = {key.partition(".")[2] for key in KEYS if resolved.origin(key) == "default"}
    batch = batch_size(rows) if "batch_size" in unset else training.batch_size
    untrained = resolved.config.loading.from_scratch or resolved.config.model == NAME
    need = FROM_SCRATCH if untrained else 1
    passes = epochs(rows, batch, need) if "epochs" in unset else training.epochs
    values = {
        "batch_size": (batch, f"from {rows:,} training rows: {_batch_rule(batch)}"),
        "epochs": (passes, f"from {rows:,} training rows: {_epochs_rule(rows, batch, need)}"),
        "early_stopping_patience": (patience(passes), f"from {passes:g} epochs: half of them, at least 3"),
    }
    for name, (value, origin) in values.items():
        if name in unset:
            resolved = resolved.with_values(origin, {"training": {name: value}})
    return resolved


def batch_size(rows: int) -> int:
    """Return the examples of an optimizer step: 8 for fewer than 1,024 rows, 16 for fewer than 2,048, else 32."""
    return max(size for size in _BATCHES if size == _BATCHES[0] or size * _BATCHES_OF_A_PASS <= rows)


def _batch_rule(batch: int) -> str:
    """Say from how many rows on, and up to how many, a batch has this size."""
    larger = next((size for size in _BATCHES if size > batch), None)
    if larger is not None:
        return f"{batch} below {larger * _BATCHES_OF_A_PASS:,}"
    return f"{batch} from {batch * _BATCHES_OF_A_PASS:,} on"


def epochs(rows: int, batch: int, need: int = 1) -> float:
    """Return the passes over the training rows, whole ones, that give enough optimizer steps.

    Args:
        rows: Training rows.
        batch: Examples of a step.
        need: Factor on all steps and passes.
    """
    steps = math.ceil(rows / batch)  # of one pass
    wanted = min(STEPS / steps, max(PASSES, FEWEST_STEPS / steps))
    return float(need * min(MOST_PASSES, max(FEWEST_PASSES, math.ceil(wanted))))


def _epochs_rule(rows: int, batch: int, need: int) -> str:
    """Say which of the bounds of `epochs` apply."""
    steps = math.ceil(rows / batch)
    if steps >= STEPS:
        rule = f"at least {FEWEST_PASSES} passes"
    elif PASSES * steps >= FEWEST_STEPS:
        rule = f"at least {STEPS} steps, at most {PASSES} passes"
    else:
        rule = f"at least {FEWEST_STEPS} steps, at most {MOST_PASSES} passes"
    return rule if need == 1 else f"{rule}, {need} times as many with random weights"


def patience(passes: float) -> int:
    """Return the validations without improvement after which training stops: half of all, 3 at least."""
    return max(3, math.ceil(passes / 2))
