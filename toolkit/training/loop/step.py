"""One step's gradient: micro-batches forward and backward, weighted by items, smaller ones when memory runs out."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from toolkit.attention.record import Record, recording
from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, Integers, split_step
from toolkit.distributed.process_group import ALONE, Team
from toolkit.errors import RunError
from toolkit.training.acceleration.accelerate_model import AcceleratedModel
from toolkit.training.loop.prefetch import pinned
from toolkit.training.loss.objective import OWN, Objective, are_shares, model_inputs

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class Share:
    """The part of a step that one process computes.

    Attributes:
        features: The examples that the numbers are of.
        indices: Row numbers.
        sizes: Examples in each micro-batch.
        batches: The micro-batches, on the CPU.
    """

    features: Features
    indices: Integers
    sizes: tuple[int, ...]
    batches: tuple[dict[str, Any], ...]


class Forward:
    """Computes one step's gradient, in micro-batches that become smaller when memory runs out.

    Where the model is sharded, all processes make the same number of forward and backward passes: one that has
    fewer micro-batches than another uses a batch of weight zero.
    """

    def __init__(
        self,
        model: Any,
        accelerator: Any,
        objective: Objective,
        collate: Collate,
        features: Features,
        config: TrainingConfig,
        quick: AcceleratedModel,
        say: Callable[[str], None],
        augment: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        together: Team = ALONE,
    ) -> None:
        self.augment = augment
        self.together = together
        self.model = model
        self.accelerator = accelerator
        self.objective = objective
        self.collate = collate
        self.features = features
        self.size = config.micro_batch_size or config.batch_size
        self.tokens = config.micro_batch_tokens
        self.packing = quick.packing
        self.loss = quick.loss if objective is OWN else None
        self.say = say

    def prepare(self, features: Features, indices: Integers) -> Share:
        """Collate the micro-batches of some rows of `features`; for a GPU, in memory copied while it computes."""
        groups = split_step(indices, features.lengths, self.size, self.tokens) if len(indices) else []
        batches = [self.collate([features[int(row)] for row in group]) for group in groups]
        if self.accelerator.device.type == "cuda":
            batches = [pinned(batch) for batch in batches]
        return Share(features, indices, tuple(map(len, groups)), tuple(batches))

    def backward(self, share: Share) -> tuple[Any, float]:
        """Add the gradient of the mean loss over the rows of `share`; return that loss and its weight.

        Raises:
            RunError: Not even one example fits into memory.
        """
        while share.batches or self.together.size > 1:
            if share.batches and max(share.sizes) > self.size:  # prepared before memory ran out
                share = self.prepare(share.features, share.indices)
            try:
                return self._accumulate(share.batches)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                if self.together.size > 1:  # the others are in the same pass
                    raise RunError(
                        "Memory ran out.",
                        "Lower `training.micro_batch_tokens` or `training.micro_batch_size`.",
                        id="machine.out-of-memory",
                    ) from error
                self._shrink(max(share.sizes))
        return 0.0, 0.0

    def _accumulate(self, batches: Sequence[Mapping[str, Any]]) -> tuple[Any, float]:
        weights = [self.objective.weight(batch) for batch in batches]
        counted = [(batch, weight) for batch, weight in zip(batches, weights, strict=True) if weight]
        own = sum(weights)  # the mean over no items is NaN
        everything, passes = self._agreed(own, len(counted))
        counted += [(self._weightless(), 0.0) for _ in range(passes - len(counted))]
        total: Any = 0.0
        for batch, weight in counted:
            with self._unpadded(batch), self._recorded() as records:
                inputs = _to_device(model_inputs(batch), self.accelerator.device)
                if self.augment is not None:
                    batch = inputs = self.augment(inputs)
                    inputs = {n: tensor for n, tensor in inputs.items() if n != "labels" or not are_shares(tensor)}
                if not self.objective.labels:
                    inputs = {name: tensor for name, tensor in inputs.items() if name != "labels"}
                with self.accelerator.autocast():
                    if self.loss is not None:
                        loss = self.loss(self.model, inputs)
                    else:
                        loss = self.objective.mean(self.model(**inputs, **self.objective.arguments), batch)
                    if self.objective.penalty is not None:
                        loss = loss + self.objective.penalty(records, batch)
                self.accelerator.backward(loss * (weight * self.together.size / everything))
            total = total + loss.detach() * (weight / own if own else 0.0)
        return total, own

    def _agreed(self, items: float, passes: int) -> tuple[float, int]:
        """Return the number of items of the mean, and the number of passes, over all processes that share them."""
        everyones = self.together.everyones((items, passes))
        return sum(items for items, _ in everyones), max(passes for _, passes in everyones)

    def _weightless(self) -> Mapping[str, Any]:
        """Return a batch with a finite loss, of weight zero."""
        batches = (self.collate([self.features[row]]) for row in range(len(self.features)))
        return next(batch for batch in batches if self.objective.weight(batch))

    def _unpadded(self, batch: Mapping[str, Any]) -> AbstractContextManager[None]:
        return nullcontext() if self.packing is None else self.packing.batch(batch, self.accelerator.device)

    def _recorded(self) -> AbstractContextManager[Sequence[Record]]:
        if self.objective.penalty is None:
            return nullcontext(())
        return recording(self.accelerator.unwrap_model(self.model))

    def _shrink(self, tried: int) -> None:
        if tried == 1:
            raise RunError(
                "Memory is insufficient for a single example.",
                "Truncate examples (--max-length), or use a smaller model.",
                id="machine.out-of-memory",
            )
        self.size = tried // 2
        self.model.zero_grad(set_to_none=True)
        if self.accelerator.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()
        self.say(
            f"Memory ran out; micro-batches have {self.size} examples from now on; the batch size of a step is "
            "unchanged."
        )


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def _to_device(batch: Mapping[str, Any], device: Any) -> dict[str, Any]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
