"""Facts of a training: lines of its log, and what the report shows."""

from collections.abc import Mapping
from typing import Any

from toolkit.config import RunConfig
from toolkit.data.batching.batch import Features
from toolkit.distributed.process_group import Team
from toolkit.tasks.contract import Recipe
from toolkit.training.acceleration.autotune import ComputeSettings
from toolkit.training.loop.progress import Progress, Validation
from toolkit.training.loop.train import TrainingResult


def log_line(event: Progress | Validation) -> Mapping[str, Any]:
    """Return an event as a line of metrics.jsonl."""
    if isinstance(event, Validation):
        return {"event": "validation", "step": event.step, "epoch": event.epoch, **event.values, "best": event.best}
    return {
        "event": "training",
        "step": event.step,
        "epoch": round(event.epoch, 4),
        "loss": event.loss,
        "learning_rate": event.learning_rate,
        "samples_per_second": round(event.samples_per_second, 2),
    }


def input_facts(features: Features, recipe: Recipe, *, every_row: bool = True) -> dict[str, Any]:
    """Return the report's facts of the training inputs; how many are truncated only where `features` has all rows."""
    tokens = {"tokens_per_example": round(float(features.lengths.mean()), 1)} if features.has_lengths else {}
    if not every_row:
        return tokens
    cut = {"truncated": features.truncated, "truncated_by_length": recipe.task.longest_by_tokens}
    return {**tokens, **cut, "truncated_texts": list(features.cut)}


def training_facts(
    result: TrainingResult, config: RunConfig, device: str, compute: ComputeSettings, team: Team
) -> dict[str, Any]:
    """Return the report's facts of the training."""
    return {
        "device": device,
        "processes": team.size,
        "acceleration": config.training.acceleration,
        **compute.facts(),
        "seconds": round(result.seconds, 2),
        "epochs": round(result.epochs, 3),
        "steps": result.steps,
        "samples_per_second": round(result.samples_per_second, 2),
        "waiting": round(result.waiting, 4),
        "best_step": result.best_step,
        "stopped_early": result.stopped_early,
        "optimizer": "AdamW",
        "learning_rate": config.training.learning_rate,
        "batch_size": config.training.batch_size,
        "seed": config.training.seed,
        "loss": list(result.losses),
        "evaluations": [{"step": v.step, "epoch": round(v.epoch, 4), **v.values} for v in result.validations],
    }
