"""The training loop with flat keywords, as short tests like them."""

from dataclasses import fields
from typing import Any

from toolkit.training.loop import train as loop
from toolkit.training.loop.arguments import Callbacks, Selection, StepControl, TrainingData
from toolkit.training.loop.train import TrainingResult


def train(model: Any, features: Any, collate: Any, config: Any, accelerator: Any, **given: Any) -> TrainingResult:
    """Call `toolkit.training.loop.train.train`; keywords are fields of its arguments, or its own."""

    def of(kind: type) -> dict[str, Any]:
        return {item.name: given.pop(item.name) for item in fields(kind) if item.name in given}  # type: ignore[arg-type]

    data = TrainingData(features, collate, given.pop("augment", None))
    groups: dict[str, Any] = {
        "selection": Selection(**of(Selection)),
        "callbacks": Callbacks(**of(Callbacks)),
        "control": StepControl(**of(StepControl)),
    }
    return loop.train(model, data, config, accelerator, **groups, **given)
