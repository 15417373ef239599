"""Measure a few optimizer steps of a run on this machine, as training takes them.

The steps are those of the first epoch: the one with the most tokens, the one with the fewest, some between, and parts
of them. Their number is bounded by time.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np

from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training.fit import TrainingInputs
from toolkit.commands.plan.counting import Work, count
from toolkit.commands.plan.devices import Model
from toolkit.commands.plan.shapes import Cost, Shape, fit, micro_batches
from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Integers, probe
from toolkit.evaluation.checks import energy
from toolkit.training.acceleration.accelerate_model import AcceleratedModel, accelerated
from toolkit.training.acceleration.autotune import ComputeSettings
from toolkit.training.loop.arguments import Callbacks, TrainingData
from toolkit.training.loop.step import Forward
from toolkit.training.loss.objective import Objective

LONGEST = 15.0  # seconds after which no further step is taken
LEAST = 5  # steps that are taken in any case, the largest among them; the first one warms up
_COUNTED = 4  # rows of the micro-batches that are counted


@dataclass(frozen=True)
class Trained:
    """How training computes on this machine.

    Attributes:
        prepared: The run, with the rows that are measured.
        inputs: What is trained.
        objective: What is minimised.
        augment: Changes batches at random, if the recipe does that.
        accelerator: Of Accelerate.
        compute: Precision and kernels.
    """

    prepared: Prepared
    inputs: TrainingInputs
    objective: Objective
    augment: Callable[[dict[str, Any]], dict[str, Any]] | None
    accelerator: Any
    compute: ComputeSettings

    @property
    def config(self) -> TrainingConfig:
        """The settings of training."""
        return self.prepared.config.training

    @property
    def model(self) -> Any:
        """The trained module."""
        return self.inputs.model

    def ready(self, *, plain: bool = False) -> AbstractContextManager[AcceleratedModel]:
        """Return the context in which steps are taken; `plain` without any optimization."""
        if plain or self.config.acceleration == "off":
            return nullcontext(AcceleratedModel())
        return accelerated(self.model, self._trial(), 1, self.compute.kernel)

    def _trial(self) -> dict[str, Any] | None:
        if self.objective.penalty is not None:
            return None
        trial = probe(self.inputs.train, self.inputs.collate)
        if not self.objective.labels:
            trial.pop("labels")
        return trial


@dataclass(frozen=True)
class Steps:
    """Measured steps.

    Attributes:
        shapes: Sizes of each.
        seconds: Time of each.
        joules_per_second: Mean power of the machine in the meantime; None where it has no readable counter.
        meter: What was counted, or why nothing was.
        peaks: Bytes of memory that the process, or on a GPU the device, held at most until the end of each.
    """

    shapes: Sequence[Shape]
    seconds: Sequence[float]
    joules_per_second: float | None
    meter: str
    peaks: Sequence[int]

    @property
    def cost(self) -> Cost:
        """Seconds of a step as a function of its size."""
        return fit(self.shapes, self.seconds)


@dataclass(frozen=True)
class Counts:
    """What a micro-batch computes.

    Attributes:
        shapes: Of those that were counted.
        work: Of each.
        packed: Whether padding was left out.
    """

    shapes: Sequence[Shape]
    work: Sequence[Work]
    packed: bool

    @property
    def activations(self) -> Cost:
        """Bytes of tensors that are alive at the same time at most."""
        return fit(self.shapes, [work.peak for work in self.work])


def counted(trained: Trained, *, plain: bool = False) -> Counts:
    """Count forward and backward passes of a few rows of several lengths.

    Args:
        trained: How training computes.
        plain: Whether without any optimization for this machine: what other devices compute.
    """
    model, features = trained.model.to(trained.accelerator.device).train(), trained.inputs.train
    order = np.argsort(-features.lengths, kind="stable")
    few = min(_COUNTED, len(order))
    middle = min(len(order) // 2, len(order) - few)
    groups = [order[:few], order[: max(1, few // 2)], order[middle : middle + few], order[-few:]]
    groups.append(order[middle : middle + 2 * few])
    with trained.ready(plain=plain) as quick:
        forward = _forward(trained, quick)
        forward.backward(forward.prepare(features, order[-few:]))  # gradients exist from here on
        work = [_counted(forward, features, rows) for rows in groups]
        packed = quick.packing is not None
    model.zero_grad(set_to_none=True)
    shapes = [Shape.of(features.lengths[rows], padded=not packed) for rows in groups]
    return Counts(shapes, work, packed)


def _counted(forward: Forward, features: Any, rows: Integers) -> Work:
    share = forward.prepare(features, rows)
    return count(lambda: forward.backward(share))


def _forward(trained: Trained, quick: AcceleratedModel) -> Forward:
    config = trained.config.model_copy(update={"micro_batch_size": None, "micro_batch_tokens": None})
    inputs, silent = trained.inputs, lambda _text: None
    data = TrainingData(inputs.train, inputs.collate, trained.augment)
    return Forward(inputs.model, trained.accelerator, trained.objective, data, config, quick, silent)


def described(trained: Trained, plain: Counts) -> Model:
    """Return what a run computes on any device."""
    parameters = list(trained.model.parameters())
    moving = sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
    whole = [*parameters, *trained.model.buffers()]
    weights = sum(tensor.numel() * tensor.element_size() for tensor in whole)
    averaged = moving if trained.config.ema_decay is not None else 0
    return Model(
        weights=weights,
        gradients=moving,
        moments=2 * moving + averaged,
        flops=fit(plain.shapes, [work.flops for work in plain.work]),
        moved=fit(plain.shapes, [work.moved for work in plain.work]),
        activations=plain.activations,
        operations=max(work.operations for work in plain.work),
    )


class _Enough(Exception):  # it ends the loop and is not a failure
    """The steps that were to be measured are taken."""


def timed(trained: Trained, steps: Sequence[Integers], micro: int, *, padded: bool) -> Steps:
    """Take some of the steps of a run and time them.

    Args:
        trained: How training computes.
        steps: Row numbers of each step of an epoch.
        micro: Rows of a micro-batch at most.
        padded: Whether the model computes padding.
    """
    from toolkit.training.loop.train import train

    device, features, config = trained.accelerator.device.type, trained.inputs.train, trained.config
    taken = chosen(steps, features.lengths)
    update = {"epochs": 1.0, "micro_batch_size": micro, "early_stopping_patience": None, "best_metric": "loss"}
    marks: list[float] = []
    peaks: list[int] = []
    read: list[float] = []
    meter, begun = energy.meter(device), time.perf_counter()

    def mark(_step: int, _loss: Any) -> None:
        _wait(device)
        marks.append(time.perf_counter())
        peaks.append(peak_memory(device))
        if len(marks) == 1:
            read.extend(meter.read())  # after the first, which warms up
        if len(marks) == len(taken) or (len(marks) >= LEAST and marks[-1] - begun > LONGEST):
            raise _Enough

    _reset_peak(device)
    with suppress(_Enough):
        train(
            trained.model,
            TrainingData(features, trained.inputs.collate, trained.augment, chosen=taken),
            config.model_copy(update=update),
            trained.accelerator,
            objective=trained.objective,
            callbacks=Callbacks(after_step=mark),
            compute=replace(trained.compute, compiled=False),
        )
    joules = sum(meter.read()) - sum(read)
    trained.model.zero_grad(set_to_none=True)
    limits = (micro, config.micro_batch_tokens)
    sizes = [micro_batches(rows, features.lengths, *limits, padded=padded) for rows in taken[1 : len(marks)]]
    seconds = [end - start for start, end in pairwise(marks)]
    power = joules / sum(seconds) if read and joules > 0 else None  # a counter may have begun again
    return Steps([reduce(add, parts) for parts in sizes], seconds, power, meter.name, peaks[1:])


def chosen(steps: Sequence[Integers], lengths: Integers, seed: int = 0) -> list[Integers]:
    """Return the steps to measure: one that warms up, some of all sizes, and then all others in random order.

    Args:
        steps: Row numbers of each step of an epoch.
        lengths: Of each row. Shape (rows,).
        seed: Of the order.
    """
    largest = max(len(rows) for rows in steps)
    whole = sorted((rows for rows in steps if len(rows) == largest), key=lambda rows: int(lengths[rows].sum()))
    last = len(whole) - 1
    most, least, middle = whole[-1], whole[0], whole[last // 2]
    quarters = [whole[last // 4], whole[3 * last // 4]]
    first = [middle, least, middle, most, *quarters, middle[::2], middle[::4], least, middle, most]
    others = np.random.default_rng(seed).permutation(len(whole))
    return [*first, *(whole[number] for number in others)]


def _wait(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def _reset_peak(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> int:
    """Return the bytes that the process held at most so far; on a GPU those of the device, with its context."""
    if device == "cuda":
        import torch

        free, total = torch.cuda.mem_get_info()
        others = total - free - torch.cuda.memory_reserved()
        return int(torch.cuda.max_memory_reserved() + others)
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)
