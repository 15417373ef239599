"""The input of every contender: the same rows, the same model, the same budget. Needs only the standard library."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LABELS = ("negative", "positive")


@dataclass(frozen=True)
class Task:
    """One training run to be done by a contender.

    Attributes:
        model: Folder of the pretrained checkpoint.
        data: Folder with train.jsonl, validation.jsonl (for the curve) and test.jsonl (for the end).
        epochs: Passes over the training rows.
        batch_size: Examples in an optimizer step.
        learning_rate: Peak step size of AdamW; it falls linearly to 0 after the warm-up.
        warmup_fraction: Share of the steps over which it rises from 0.
        weight_decay: AdamW's decoupled decay.
        max_length: Tokens an example may have.
        seed: Of new weights, order and dropout.
        steps: Optimizer steps in all.
        evaluate_every: Optimizer steps between two points of the curve; the last step is always one.
    """

    model: str
    data: str
    epochs: int
    batch_size: int
    learning_rate: float
    warmup_fraction: float
    weight_decay: float
    max_length: int
    seed: int
    steps: int
    evaluate_every: int

    @property
    def warmup_steps(self) -> int:
        """Steps over which the learning rate rises."""
        return round(self.steps * self.warmup_fraction)

    def rows(self, part: str) -> tuple[list[str], list[int]]:
        """Return the texts and the class numbers of a part."""
        lines = (Path(self.data) / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return [row["text"] for row in rows], [LABELS.index(row["label"]) for row in rows]

    def write(self, path: Path) -> None:
        """Write the task where `read` finds it."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Task":
        """Read a written task."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def write_rows(path: Path, texts: Sequence[str], labels: Sequence[int]) -> None:
    """Write one part as JSON lines."""
    lines = [json.dumps({"text": text, "label": LABELS[label]}) for text, label in zip(texts, labels, strict=True)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def count_steps(rows: int, batch_size: int, epochs: int) -> int:
    """Return the optimizer steps of a run whose last batch of an epoch may be short."""
    return math.ceil(rows / batch_size) * epochs
