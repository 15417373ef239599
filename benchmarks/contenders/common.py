"""Code of all contenders: their start, the evaluation of a plain transformers model, their result."""

import json
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.contenders.clock import Clock
from benchmarks.task import Task


@dataclass(frozen=True)
class Outcome:
    """The result of a contender.

    Attributes:
        clock: Its clock.
        curve: Step → accuracy on the validation rows.
        accuracy: Of its final model, on the test rows.
        facts: Further values.
    """

    clock: Clock
    curve: Mapping[int, float]
    accuracy: float
    facts: Mapping[str, Any] = field(default_factory=dict)


def main(contend: Callable[[Task, str], Outcome], packages: Sequence[str]) -> None:
    """Read the task, do it and write the result; arguments are TASK.json RESULT.json [VARIANT]."""
    task_file, result_file, *variant = sys.argv[1:]
    task = Task.read(Path(task_file))
    outcome = contend(task, variant[0] if variant else "")
    clock = outcome.clock
    if clock.step != task.steps:
        raise RuntimeError(f"{clock.step} optimizer steps were taken, not the {task.steps} of the task")
    result = {
        "training_seconds": clock.seconds,
        "accuracy": outcome.accuracy,
        "curve": [[seconds, outcome.curve[step]] for step, seconds in clock.marks],
        "peak_memory_mib": peak_memory_mib(),
        "versions": {package: metadata.version(package) for package in packages},
        **outcome.facts,
    }
    Path(result_file).write_text(json.dumps(result), encoding="utf-8")


def peak_memory_mib() -> float:
    """Return the peak memory of this process."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if sys.platform == "darwin" else 2**10), 1)


class Evaluator:
    """Evaluates a transformers classifier on the task's held-out rows, off the clock, and keeps the curve."""

    def __init__(self, task: Task, tokenizer: Any) -> None:
        self.task = task
        self.tokenizer = tokenizer
        self.curve: dict[int, float] = {}

    def at_mark(self, model: Any, step: int) -> None:
        """Add a point to the curve."""
        self.curve[step] = self.accuracy(model, "validation")

    def accuracy(self, model: Any, part: str, batch_size: int = 64) -> float:
        """Return the share of rows of a part that the model classifies right; it is left in the mode it was in."""
        import torch

        texts, labels = self.task.rows(part)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        was_training = model.training
        model.eval()
        right = 0
        with torch.no_grad():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = self.tokenizer(
                    [texts[row] for row in rows],
                    truncation=True,
                    max_length=self.task.max_length,
                    padding=True,
                    return_tensors="pt",
                )
                predicted = model(**batch).logits.argmax(dim=-1)
                right += int((predicted == torch.tensor([labels[row] for row in rows])).sum())
        model.train(was_training)
        return right / len(texts)
