"""What the training of a student knows of its teacher, and how the two compare in size and speed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import models
from toolkit.config import RunConfig
from toolkit.config.distillation import DistillationConfig
from toolkit.data.batching.batch import Features
from toolkit.errors import ConfigError
from toolkit.evaluation.statistics.clusters import student
from toolkit.inference import timing
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import StoredModel
from toolkit.training.loss import distillation
from toolkit.training.loss.objective import TEACHER, Objective

BATCHES = (1, 32)  # examples of a timed pass
_ROUNDS = 21  # in which both models are timed in turn
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Teacher:
    """A model that another one imitates.

    Attributes:
        stored: The model.
        targets: Logarithms of its probabilities for each training row. Shape (rows, C).
        answers: Its predictions for each test row.
        facts: For the report.
    """

    stored: StoredModel
    targets: np.ndarray[Any, np.dtype[np.float32]]
    answers: Sequence[Any]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def taught(self, features: Features) -> Features:
        """Return training inputs with the soft targets."""
        return replace(features, columns={**features.columns, TEACHER: self.targets})

    def objective(self, plain: Objective, config: DistillationConfig, device: Any) -> Objective:
        """Return what a student minimises on a device."""
        runs = config.hidden_weight or config.relations
        return distillation.distilled(plain, config, self.stored.loaded.model.to(device) if runs else None)

    def compared(self, made: StoredModel, rows: pa.Table) -> dict[str, Any]:
        """Return what the report says of the teacher and its student, which are timed in turn on some of `rows`."""
        both = (self.stored, made)
        return {
            **self.facts,
            **dict(zip(("teacher_model", "student_model"), map(_described, both), strict=True)),
            "times": [_timed(both, rows, size) for size in BATCHES if size <= rows.num_rows],
            "rounds": _ROUNDS,
            "confidence": _CONFIDENCE,
        }


def check_taught(config: RunConfig, teacher: Teacher | None) -> None:
    """Refuse to train a student without its teacher.

    Raises:
        ConfigError: The configuration names a teacher, which `toolkit distill` alone loads.
    """
    if config.distillation.teacher is not None and teacher is None:
        raise ConfigError(
            "`distillation.teacher` is for `toolkit distill`.",
            f"Run `toolkit distill {config.distillation.teacher}`, or unset it.",
            id="config.not-for-command",
        )


def _described(stored: StoredModel) -> dict[str, Any]:
    model = stored.loaded.model
    return {
        "name": Path(stored.config.model).name,
        "parameters": models.size(model)[0],
        "bytes": sum(file.stat().st_size for file in stored.folder.glob("*.safetensors")),
        "layers": getattr(model.config, "num_hidden_layers", None),
    }


def _timed(both: Sequence[StoredModel], rows: pa.Table, size: int) -> dict[str, Any]:
    """Time both models on the same rows, of medium length, each with its own inputs.

    Returns:
        "batch_size"; "teacher" and "student", median seconds for each example; "faster", how many times as fast the
        student is, with "low" and "high": the mean of logarithms over the rounds, with Student's interval.
    """
    order = np.argsort(encode_rows(rows, both[0].loaded).lengths, kind="stable")
    start = max(0, len(order) // 2 - size // 2)
    some = rows.take(order[start : start + size])
    batches = [_batch(stored, some) for stored in both]
    taken = timing.in_turn([stored.loaded.model for stored in both], batches, _ROUNDS)
    logarithms = np.log(np.maximum(taken, 1e-9))
    ratios = logarithms[:, 0] - logarithms[:, 1]
    half = student(_CONFIDENCE, len(ratios) - 1) * float(ratios.std(ddof=1)) / len(ratios) ** 0.5
    value, low, high = np.exp([ratios.mean(), ratios.mean() - half, ratios.mean() + half]).tolist()
    teacher, learner = np.median(taken, axis=0).tolist()
    return {
        "batch_size": size,
        "teacher": teacher,
        "student": learner,
        "faster": {"value": value, "low": low, "high": high},
    }


def _batch(stored: StoredModel, rows: pa.Table) -> dict[str, Any]:
    loaded, recipe = stored.loaded, stored.recipe
    features = encode_rows(rows, loaded)
    batch = recipe.collate([features[row] for row in range(len(features))], processor=loaded.processor)
    return {name: tensor.to(loaded.model.device) for name, tensor in batch.items() if name != "labels"}
