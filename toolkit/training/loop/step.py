"""One step's gradient: micro-batches forward and backward, weighted by items, smaller ones when memory runs out."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from toolkit.attention.record import Record, recording
from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, Integers, split_step
from toolkit.distributed.process_group import ALONE, Team, listening
from toolkit.errors import RunError
from toolkit.training.acceleration.accelerate_model import AcceleratedModel
from toolkit.training.distributed import data_parallel
from toolkit.training.loop.arguments import TrainingData
from toolkit.training.loop.prefetch import pinned
from toolkit.training.loss.objective import OWN, Objective, are_shares, model_inputs


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

    The processes of a run exchange gradients in the last pass of a step, and in no other. A pass that needs more memory
    than any before is not used for that: a batch of weight zero follows. So memory runs out while no process waits for
    this one, which then repeats its micro-batches.

    Where the model is sharded, every pass is an exchange, and all processes make the same number of them: one that has
    fewer micro-batches than another uses batches of weight zero.
    """

    def __init__(
        self,
        model: Any,
        accelerator: Any,
        objective: Objective,
        data: TrainingData,
        config: TrainingConfig,
        quick: AcceleratedModel,
        say: Callable[[str], None],
        team: Team = ALONE,
        steps: int = 1,
    ) -> None:
        self.augment = data.augment
        self.team = team
        self.model = model
        self.accelerator = accelerator
        self.objective = objective
        self.collate = data.collate
        self.features = data.features
        self.size = config.micro_batch_size or config.batch_size
        self.tokens = config.micro_batch_tokens
        self.packing = quick.packing
        self.loss = quick.loss if objective is OWN else None
        self.say = say
        self.replicated = team.size > 1 and config.strategy != "fsdp"
        self.exchanging = False  # the other processes are in the same pass
        self.managed: list[tuple[int, ...]] = []  # extents of passes for which memory sufficed
        self.late: list[Any] = []  # parameters that the last exchange found without a gradient here
        self.module = data_parallel.loss_module(model)
        if self.replicated:
            unused = sum(team.total([self._leaves_some_unused()])) > 0
            compression = config.gradient_compression
            self.module = data_parallel.replicated(
                accelerator, self.module, some_unused=unused, compression=compression, steps=steps
            )

    def prepare(self, features: Features, indices: Integers) -> Share:
        """Collate the micro-batches of some rows of `features`; for a GPU, in memory copied while it computes."""
        groups = split_step(indices, features.lengths, self.size, self.tokens) if len(indices) else []
        batches = [self.collate([features[int(row)] for row in group]) for group in groups]
        if self.accelerator.device.type == "cuda":
            batches = [pinned(batch) for batch in batches]
        return Share(features, indices, tuple(map(len, groups)), tuple(batches))

    def backward(self, share: Share) -> Any:
        """Add the gradient of the mean loss over the rows of all processes.

        Returns:
            This process's part of that loss: the parts of all processes add up to it.

        Raises:
            RunError: Not even one example fits into memory.
            ProcessLost: Another process has ended.
        """
        self.late = []
        weights = [self.objective.weight(batch) for batch in share.batches]
        [everything] = self.team.total([sum(weights)])
        passes = 0 if self.replicated else max(self.team.everyones(sum(map(bool, weights))))
        while everything:  # the mean over no items is NaN
            if share.batches and max(share.sizes) > self.size:  # prepared before memory ran out
                share = self.prepare(share.features, share.indices)
            try:
                return self._accumulate(share.batches, everything, passes)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                if self.exchanging:
                    raise RunError(
                        "Memory ran out.",
                        "Lower `training.micro_batch_tokens` or `training.micro_batch_size`.",
                        id="machine.out-of-memory",
                    ) from error
                self._shrink(max(share.sizes, default=1))
        return 0.0

    def _accumulate(self, batches: Sequence[Mapping[str, Any]], everything: float, passes: int) -> Any:
        weights = [self.objective.weight(batch) for batch in batches]
        counted = [(batch, weight) for batch, weight in zip(batches, weights, strict=True) if weight]
        safe = bool(counted) and self._manageable(counted[-1][0])
        idle = int(not safe) if self.replicated else passes - len(counted)
        total: Any = 0.0
        self.exchanging = self.team.size > 1 and not self.replicated
        for number, (batch, weight) in enumerate(counted, 1):
            exchanged = self.replicated and not idle and number == len(counted)
            total = total + self._pass(batch, weight / everything, exchanged=exchanged)
        for _ in range(idle):
            self._weightless_pass(exchanged=self.replicated)
        return total

    def _pass(self, batch: Mapping[str, Any], share: float, *, exchanged: bool) -> Any:
        """Add the gradient of a batch's mean loss times its `share` of the step; return that product."""
        extent = _extent(batch)
        alone = nullcontext() if exchanged else self.accelerator.no_sync(self.module)
        with listening(computing=True), alone, self._unpadded(batch), self._recorded() as records:
            inputs = _to_device(model_inputs(batch), self.accelerator.device)
            if self.augment is not None:
                batch = inputs = self.augment(inputs)
                inputs = {n: tensor for n, tensor in inputs.items() if n != "labels" or not are_shares(tensor)}
            if not self.objective.labels:
                inputs = {name: tensor for name, tensor in inputs.items() if name != "labels"}
            with self.accelerator.autocast():
                loss = self.module(partial(self._mean, inputs, batch, records))
            self.exchanging = self.exchanging or exchanged
            self.accelerator.backward(loss * (share * self.team.size))  # the exchange divides by the size
            if exchanged:
                self.late = data_parallel.complete(self.module)
        if self.replicated and not any(_within(extent, other) for other in self.managed):
            self.managed = [other for other in self.managed if not _within(other, extent)] + [extent]
        return loss.detach() * share

    def _mean(self, inputs: Mapping[str, Any], batch: Mapping[str, Any], records: Sequence[Record]) -> Any:
        if self.loss is not None:
            loss = self.loss(self.model, inputs)
        else:
            loss = self.objective.mean(self.model(**inputs, **self.objective.arguments), batch)
        return loss if self.objective.penalty is None else loss + self.objective.penalty(records, batch)

    def _weightless_pass(self, *, exchanged: bool) -> None:
        """Take part in a pass with a gradient of zero; neither random numbers nor a batch norm notice."""
        import torch

        training, device = self.model.training, self.accelerator.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            self.model.eval()
            self._pass(self._weightless, 0.0, exchanged=exchanged)
            self.model.train(training)

    @cached_property
    def _weightless(self) -> Mapping[str, Any]:
        """A short batch with a finite loss."""
        batches = (self.collate([self.features[int(row)]]) for row in np.argsort(self.features.lengths, kind="stable"))
        return next(batch for batch in batches if self.objective.weight(batch))

    def _leaves_some_unused(self) -> bool:
        """Whether a pass leaves parameters without a gradient."""
        self._weightless_pass(exchanged=False)
        unused = any(parameter.requires_grad and parameter.grad is None for parameter in self.model.parameters())
        self.model.zero_grad(set_to_none=True)
        return unused

    def _manageable(self, batch: Mapping[str, Any]) -> bool:
        """Whether memory sufficed for a batch that needed at least as much."""
        extent = _extent(batch)
        return any(_within(extent, other) for other in self.managed)

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


def _extent(batch: Mapping[str, Any]) -> tuple[int, ...]:
    """Return numbers that the memory of a pass grows with: of each tensor its size, and that times its length."""
    tokens = int(batch["attention_mask"].sum()) if "attention_mask" in batch else 0
    sizes = [(batch[name].numel(), batch[name].shape[-1]) for name in sorted(batch)]
    return (tokens, *(number for size, last in sizes for number in (size, size * last)))


def _within(extent: Sequence[int], other: Sequence[int]) -> bool:
    return len(extent) == len(other) and all(mine <= yours for mine, yours in zip(extent, other, strict=True))


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def _to_device(batch: Mapping[str, Any], device: Any) -> dict[str, Any]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
