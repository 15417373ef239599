"""The training loop: the only one in the project, for every task and device, on Accelerate.

    for each epoch
        for each step of the epoch's plan          plan_epoch(): which examples, decided by seed and epoch alone
            for each micro-batch of the step
                loss  = mean over the micro-batch's items
                backward(loss × items / items of the step)
            clip, optimizer, schedule
        validate → the best so far is saved → stop early when nothing improves

The weight items / items-of-the-step makes accumulated micro-batches equal to one large batch, for losses
over examples and over target tokens alike.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.config import TrainingConfig
from toolkit.data.batch import Features, Integers, plan_epoch
from toolkit.errors import RunError
from toolkit.training.schedule import build_optimizer, learning_rate_factor

LOG_EVERY_SECONDS = 2.0


@dataclass(frozen=True)
class Progress:
    """Where training stands, for a progress bar or a log line.

    Attributes:
        step: Optimizer steps taken.
        total_steps: Optimizer steps planned.
        epoch: Passes over the data so far, with a fraction.
        loss: Mean training loss since the last report.
        learning_rate: Current step size.
        samples_per_second: Since training began, without validation.
        seconds_left: Estimate to the end of training.
    """

    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    samples_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class Validation:
    """The outcome of one validation.

    Attributes:
        step: Optimizer steps taken before it.
        epoch: Passes over the data before it.
        values: "loss" and the recipe's metrics.
        best: Whether it is the best so far.
    """

    step: int
    epoch: float
    values: Mapping[str, float]
    best: bool


@dataclass(frozen=True)
class TrainingResult:
    """What training did.

    Attributes:
        steps: Optimizer steps taken.
        total_steps: Optimizer steps planned.
        epochs: Passes over the data made.
        seconds: Wall time, validation and saving included.
        samples_per_second: Of training alone.
        best_step: Step of the weights that were kept.
        stopped_early: Whether early stopping ended it.
        losses: Training loss along the way: {"step", "epoch", "value"}.
        validations: Each validation.
    """

    steps: int
    total_steps: int
    epochs: float
    seconds: float
    samples_per_second: float
    best_step: int
    stopped_early: bool
    losses: Sequence[Mapping[str, float]]
    validations: Sequence[Validation]


def train(
    model: Any,
    features: Features,
    collate: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]],
    config: TrainingConfig,
    accelerator: Any,
    *,
    validate: Callable[[Any], Mapping[str, float]],
    save: Callable[[Any], None],
    higher_is_better: bool,
    observe: Callable[[Progress | Validation], None],
) -> TrainingResult:
    """Fine-tune `model` in place and hand its best state to `save`.

    Args:
        model: A transformers model whose output has a `loss`, the mean over its batch's items.
        features: The training examples.
        collate: Stacks examples into a batch of tensors.
        config: How the weights move; `learning_rate` is set.
        accelerator: An `accelerate.Accelerator`.
        validate: Judges the model; the result holds "loss" and `config.best_metric`.
        save: Keeps the model's current state as the best so far.
        higher_is_better: Which way `config.best_metric` improves.
        observe: Told of progress and of each validation.

    Raises:
        RunError: The loss, or the metric that picks the best weights, is no longer a finite number.
    """
    import torch

    optimizer = build_optimizer(model, config)
    prepared, optimizer = accelerator.prepare(model, optimizer)
    steps_per_epoch = math.ceil(len(features) / config.batch_size)
    total_steps = max(1, math.ceil(steps_per_epoch * config.epochs))
    factor = learning_rate_factor(config.schedule, round(total_steps * config.warmup_fraction), total_steps)
    scheduler = torch.optim.lr_scheduler.LambdaLR(getattr(optimizer, "optimizer", optimizer), factor)
    validate_every = config.evaluate_every or steps_per_epoch
    keeper = _BestKeeper(config, higher_is_better, lambda: save(accelerator.unwrap_model(prepared)))
    meter = _Meter(total_steps)
    stopped_early = False
    step = 0

    prepared.train()
    for step, indices in enumerate(_steps(features.lengths, config, total_steps), start=1):
        batches = _micro_batches(features, indices, collate, config)
        items = sum(map(count_items, batches))
        for batch in batches:
            batch_items = count_items(batch)
            with accelerator.autocast():
                loss = prepared(**_to_device(batch, accelerator.device)).loss * (batch_items / items)
            accelerator.backward(loss)
            meter.add(loss.detach())
        if config.max_grad_norm:
            accelerator.clip_grad_norm_(prepared.parameters(), config.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        meter.count(len(indices))
        learning_rate = float(scheduler.get_last_lr()[0])
        scheduler.step()
        validating = step % validate_every == 0 or step == total_steps
        if validating or meter.due():
            observe(meter.report(step, step / steps_per_epoch, float(learning_rate)))
        if validating:
            with meter.paused():
                prepared.eval()
                values = validate(accelerator.unwrap_model(prepared))
                prepared.train()
                observe(keeper.consider(step, step / steps_per_epoch, values))
            if keeper.patience_is_over:
                stopped_early = step < total_steps
                break
    return TrainingResult(
        steps=step,
        total_steps=total_steps,
        epochs=step / steps_per_epoch,
        seconds=meter.seconds,
        samples_per_second=meter.samples_per_second,
        best_step=keeper.best_step,
        stopped_early=stopped_early,
        losses=meter.losses,
        validations=keeper.validations,
    )


def _steps(lengths: Integers, config: TrainingConfig, total_steps: int) -> Iterator[Integers]:
    """Yield the row numbers of each optimizer step, epoch after epoch, until `total_steps`."""
    epoch = taken = 0
    while True:
        for indices in plan_epoch(lengths, config.batch_size, seed=config.seed, epoch=epoch):
            if taken == total_steps:
                return
            yield indices
            taken += 1
        epoch += 1


def _micro_batches(
    features: Features,
    indices: Integers,
    collate: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]],
    config: TrainingConfig,
) -> list[dict[str, Any]]:
    size = config.micro_batch_size or config.batch_size
    groups = np.array_split(indices, range(size, len(indices), size))
    batches = [collate([features[int(row)] for row in group]) for group in groups]
    return [batch for batch in batches if count_items(batch)]  # the mean over no items is not a number


def count_items(batch: Mapping[str, Any]) -> int:
    """Return how many things a batch's mean loss is taken over: labels that are not the ignored -100."""
    labels = batch["labels"]
    return int((labels != -100).sum()) if not labels.is_floating_point() else len(labels)


def _to_device(batch: Mapping[str, Any], device: Any) -> dict[str, Any]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


class _BestKeeper:
    """Remembers validations, has the best state saved, and knows when patience is over."""

    def __init__(self, config: TrainingConfig, higher_is_better: bool, save: Callable[[], None]) -> None:
        self.metric = config.best_metric
        self.patience = config.early_stopping_patience
        self.sign = 1.0 if higher_is_better else -1.0
        self.save = save
        self.best_value = (-math.inf, -math.inf)
        self.best_step = 0
        self.since_best = 0
        self.validations: list[Validation] = []

    def consider(self, step: int, epoch: float, values: Mapping[str, float]) -> Validation:
        for name in ("loss", self.metric):
            _check_finite(f"validation {name}", values[name], step)
        value = (self.sign * values[self.metric], -values["loss"])  # of equals, the one with the lower loss
        best = value > self.best_value or not self.validations
        if best:
            self.best_value, self.best_step, self.since_best = value, step, 0
            self.save()
        else:
            self.since_best += 1
        self.validations.append(Validation(step, epoch, dict(values), best))
        return self.validations[-1]

    @property
    def patience_is_over(self) -> bool:
        return self.patience is not None and self.since_best >= self.patience


def _check_finite(what: str, value: float, step: int) -> None:
    if not math.isfinite(value):
        raise RunError(
            f"The {what} is {value} at step {step}.",
            "Lower the learning rate (--learning-rate), or compute in fp32 (`--set training.precision=fp32`).",
        )


class _Meter:
    """Keeps the running loss and the clock; the loss stays on the device until it is reported."""

    def __init__(self, total_steps: int) -> None:
        self.total_steps = total_steps
        self.losses: list[dict[str, float]] = []
        self._sum: Any = None
        self._steps = 0
        self._samples = 0
        self._start = time.perf_counter()
        self._paused = 0.0
        self._last_report = self._start

    def add(self, loss: Any) -> None:
        self._sum = loss if self._sum is None else self._sum + loss

    def count(self, samples: int) -> None:
        self._samples += samples
        self._steps += 1

    def due(self) -> bool:
        return time.perf_counter() - self._last_report >= LOG_EVERY_SECONDS

    def report(self, step: int, epoch: float, learning_rate: float) -> Progress:
        loss = float(self._sum or 0.0) / self._steps
        _check_finite("training loss", loss, step)
        self._sum, self._steps = None, 0
        self._last_report = time.perf_counter()
        self.losses.append({"step": step, "epoch": round(epoch, 4), "value": loss})
        left = (self.seconds - self._paused) / step * (self.total_steps - step)
        return Progress(step, self.total_steps, epoch, loss, learning_rate, self.samples_per_second, left)

    def paused(self) -> "_Pause":
        return _Pause(self)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start

    @property
    def samples_per_second(self) -> float:
        return self._samples / max(1e-9, self.seconds - self._paused)


class _Pause:
    """Takes the time of a block out of the meter's speed."""

    def __init__(self, meter: _Meter) -> None:
        self.meter = meter

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_error: object) -> None:
        self.meter._paused += time.perf_counter() - self.start
