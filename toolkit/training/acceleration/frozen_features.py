"""Features of a frozen backbone, computed once.

Where only the model's last module is trained, and an example always reaches it as the same numbers, these
numbers are computed once for each example and stored; an epoch then costs as much as the last module.

    inputs → backbone (frozen, once) → features → head (trained) → logits
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.data.batching.batch import Columns, Features

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class FrozenBackbone:
    """A model of which only the last module is trained.

    Attributes:
        model: The whole model.
        head: Its last module, which takes one tensor (B, …) and returns the logits.
        name: Of that module.
    """

    model: Any
    head: Any
    name: str

    def headed(self) -> Any:
        """Return a module that takes features instead of the inputs: `inputs` and, for a loss, `labels`."""
        return _headed(self)

    def digest(self) -> str:
        """Return a digest of all weights below the head."""
        digest = hashlib.sha256(type(self.model).__name__.encode())
        for name, tensor in self.model.state_dict().items():
            if not name.startswith(f"{self.name}."):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().float().numpy().tobytes())
        return digest.hexdigest()

    def features(
        self, features: Features, collate: Collate, batch_size: int, autocast: Callable[[], AbstractContextManager[Any]]
    ) -> Iterator[Columns]:
        """Yield what reaches the head, "inputs" (N, …), and the "labels", some examples at a time, in order."""
        import torch

        self.model.eval()
        for start in range(0, len(features), batch_size):
            rows = range(start, min(start + batch_size, len(features)))
            batch = collate([features[row] for row in rows])
            with torch.no_grad(), autocast():
                handed, _ = _run(self.model, self.head, batch)
            yield {"inputs": handed.float().cpu().numpy(), "labels": np.asarray(batch["labels"])}


def find(model: Any, batch: Mapping[str, Any]) -> FrozenBackbone | None:
    """Return the frozen backbone of a model, or None where examples must go through the whole model each time.

    That is so where more than the last module is trained, where dropout or batch norm make an example's features
    random or dependent on the batch, or where the loss is not that of one class for each example.

    Args:
        model: On its device, with its parameters frozen or not.
        batch: A real one on the CPU, with labels.
    """
    import torch

    if getattr(model.config, "problem_type", None) != "single_label_classification":
        return None
    moving = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    holders = [
        (len(own), name, module)
        for name, module in model.named_modules()
        if name and moving <= (own := {id(parameter) for parameter in module.parameters()})
    ]
    if not moving or not holders:
        return None
    size, name, head = min(holders, key=lambda holder: holder[0])
    norms = any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules())
    if norms or size != len(moving):
        return None
    training = model.training
    with torch.no_grad():
        model.train()
        (features, logits), (again, _) = (_run(model, head, batch) for _ in range(2))
        model.train(training)
        if features is None or again is None or not torch.equal(features, again):
            return None
        repeated = head.eval()(features)
        return (
            FrozenBackbone(model, head, name) if hasattr(repeated, "detach") and torch.equal(repeated, logits) else None
        )


def why_not(model: Any) -> str:
    """Say why the frozen layers of a model, of which `find` returned None, are computed in every epoch."""
    import torch

    rate = max((module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)), default=0.0)
    cause = (
        f"dropout ({rate:g}) changes their output each time; without it (--set training.dropout=0 "
        "--set training.attention_dropout=0) it is computed once"
        if rate
        else "their output is not the input of a single last layer, or depends on the other rows of a batch"
    )
    return f"The frozen layers are computed in every epoch, since {cause}."


def _run(model: Any, head: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """Run the model; return the input of its head, None where that is not one tensor, and the logits."""
    recorded: list[Any] = []
    hook = head.register_forward_pre_hook(lambda _head, arguments: recorded.append(arguments))
    try:
        logits = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}).logits
    finally:
        hook.remove()
    single = len(recorded) == 1 and len(recorded[0]) == 1 and hasattr(recorded[0][0], "detach")
    return (recorded[0][0].detach() if single else None), logits


def _headed(backbone: FrozenBackbone) -> Any:
    import torch
    from transformers.modeling_outputs import SequenceClassifierOutput

    class Headed(torch.nn.Module):
        """The head of a model, called like the model."""

        def __init__(self) -> None:
            super().__init__()
            self.head = backbone.head
            self.config = backbone.model.config

        @property
        def device(self) -> Any:
            return next(self.head.parameters()).device

        def forward(self, inputs: Any, labels: Any = None) -> Any:
            logits = self.head(inputs)
            loss = None if labels is None else torch.nn.functional.cross_entropy(logits.float(), labels)
            return SequenceClassifierOutput(loss=loss, logits=logits)

    return Headed()
