"""The training loop: the only one in the project, for every task and device, on Accelerate.

    for each step of the plan                      plan_epoch(): which examples, decided by seed and epoch alone
        for each micro-batch of the step
            loss  = mean over the micro-batch's items
            backward(loss × items / items of the step)
        clip, optimizer, schedule
        validate when due → the best so far is saved → stop early when nothing improves
        write the state when due, or when asked to stop

The weight items / items-of-the-step makes accumulated micro-batches equal to one large batch, for losses
over examples and over target tokens alike. The plan is a function of the step's number, so a run that is taken up
again goes on with the very example where it stopped, and reads nothing twice.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.config import TrainingConfig
from toolkit.data.batch import Features, Integers, plan_epoch
from toolkit.errors import Interrupted, RunError
from toolkit.training import checkpoint, dropout
from toolkit.training.progress import BestKeeper, Meter, Progress, Validation
from toolkit.training.schedule import build_optimizer, learning_rate_factor

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]
WriteState = Callable[[int, Any, Any, Mapping[str, Any]], None]


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
    collate: Collate,
    config: TrainingConfig,
    accelerator: Any,
    *,
    validate: Callable[[Any], Mapping[str, float]],
    save: Callable[[Any, int], None],
    higher_is_better: bool,
    observe: Callable[[Progress | Validation], None],
    write_state: WriteState | None = None,
    state: checkpoint.State | None = None,
    stop_asked: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _text: None,
) -> TrainingResult:
    """Fine-tune `model` in place and hand its best weights to `save`.

    Args:
        model: A transformers model whose output has a `loss`, the mean over its batch's items.
        features: The training examples.
        collate: Stacks examples into a batch of tensors.
        config: How the weights move; `learning_rate` is set.
        accelerator: An `accelerate.Accelerator`.
        validate: Judges the model; the result holds "loss" and `config.best_metric`.
        save: Keeps the model's weights of a step as the best so far.
        higher_is_better: Which way `config.best_metric` improves.
        observe: Told of progress and of each validation.
        write_state: Writes (step, model, optimizer, facts) where `checkpoint.newest` finds it.
        state: Where to go on from.
        stop_asked: Whether to write the state and stop.
        say: Told what the user should know.

    Raises:
        RunError: The loss, or the metric that picks the best weights, is no longer a finite number.
        Interrupted: `stop_asked` said so.
    """
    optimizer = build_optimizer(model, config)
    prepared, optimizer = accelerator.prepare(model, optimizer)
    dropout.cheapen(model)
    steps_per_epoch = math.ceil(len(features) / config.batch_size)
    total_steps = max(1, math.ceil(steps_per_epoch * config.epochs))
    factor = learning_rate_factor(config.schedule, round(total_steps * config.warmup_fraction), total_steps)
    peaks = [group["lr"] for group in optimizer.param_groups]
    validate_every = config.evaluate_every or steps_per_epoch
    keeper = BestKeeper(config, higher_is_better, lambda step: save(accelerator.unwrap_model(prepared), step))
    meter = Meter(total_steps)
    step = 0
    if state is not None:
        checkpoint.restore(state, accelerator.unwrap_model(prepared), _bare(optimizer))
        keeper.restore(state.facts)
        meter.restore(state.facts["meter"])
        step = state.step
    forward = _Forward(prepared, accelerator, collate, features, config.micro_batch_size or config.batch_size, say)
    last_state = time.monotonic()

    prepared.train()
    for indices in () if keeper.patience_is_over else _steps(features.lengths, config, step, total_steps):
        loss = forward.backward(indices)
        if config.max_grad_norm:
            accelerator.clip_grad_norm_(prepared.parameters(), config.max_grad_norm)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor(step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        meter.count(loss, len(indices))
        step += 1
        validating = step % validate_every == 0 or step == total_steps
        if validating or meter.due():
            observe(meter.report(step, step / steps_per_epoch, optimizer.param_groups[0]["lr"]))
        if validating:
            with meter.paused():
                prepared.eval()
                values = validate(accelerator.unwrap_model(prepared))
                prepared.train()
                observe(keeper.consider(step, step / steps_per_epoch, values))
        stopping = stop_asked()
        due = time.monotonic() - last_state >= 60 * config.checkpoint_minutes
        if write_state is not None and (validating or stopping or due):
            with meter.paused():
                facts = {**keeper.facts(), "meter": meter.facts()}
                write_state(step, accelerator.unwrap_model(prepared), _bare(optimizer), facts)
            last_state = time.monotonic()
        if stopping and step < total_steps and not keeper.patience_is_over:
            kept = " Its state is saved." if write_state is not None else ""
            raise Interrupted(
                f"Stopped at step {step} of {total_steps}.{kept}", "Go on with the same command and --resume."
            )
        if keeper.patience_is_over:
            break
    dropout.restore(model)
    return TrainingResult(
        steps=step,
        total_steps=total_steps,
        epochs=step / steps_per_epoch,
        seconds=meter.seconds,
        samples_per_second=meter.samples_per_second,
        best_step=keeper.best_step,
        stopped_early=step < total_steps,
        losses=meter.losses,
        validations=keeper.validations,
    )


def _bare(optimizer: Any) -> Any:
    """Return the torch optimizer inside Accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)


def _steps(lengths: Integers, config: TrainingConfig, taken: int, total_steps: int) -> Iterator[Integers]:
    """Yield the row numbers of each optimizer step after the first `taken`, epoch after epoch."""
    steps_per_epoch = math.ceil(len(lengths) / config.batch_size)
    while taken < total_steps:
        epoch, offset = divmod(taken, steps_per_epoch)
        plan = plan_epoch(lengths, config.batch_size, seed=config.seed, epoch=epoch)
        yield from plan[offset : offset + total_steps - taken]
        taken = (epoch + 1) * steps_per_epoch


class _Forward:
    """Computes one step's gradient, in micro-batches that become smaller when memory runs out."""

    def __init__(
        self, model: Any, accelerator: Any, collate: Collate, features: Features, size: int, say: Callable[[str], None]
    ) -> None:
        self.model = model
        self.accelerator = accelerator
        self.collate = collate
        self.features = features
        self.size = size
        self.say = say

    def backward(self, indices: Integers) -> Any:
        """Add the gradient of the mean loss over the rows `indices`; return that loss, on its device.

        Raises:
            RunError: Not even one example fits into memory.
        """
        while True:
            try:
                return self._accumulate(indices)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                self._shrink(min(self.size, len(indices)))

    def _accumulate(self, indices: Integers) -> Any:
        groups = np.array_split(indices, range(self.size, len(indices), self.size))
        batches = [self.collate([self.features[int(row)] for row in group]) for group in groups]
        counts = [count_items(batch) for batch in batches]
        total: Any = 0.0
        for batch, count in zip(batches, counts, strict=True):
            if count == 0:
                continue  # the mean over no items is not a number
            with self.accelerator.autocast():
                loss = self.model(**_to_device(batch, self.accelerator.device)).loss * (count / sum(counts))
            self.accelerator.backward(loss)
            total = total + loss.detach()
        return total

    def _shrink(self, tried: int) -> None:
        if tried == 1:
            raise RunError(
                "Memory is too small for a single example.",
                "Cut examples shorter (--max-length), or use a smaller model.",
            )
        self.size = tried // 2
        self.model.zero_grad(set_to_none=True)
        if self.accelerator.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()
        self.say(f"Memory ran out; micro-batches have {self.size} examples from here on, and steps as many as before.")


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def count_items(batch: Mapping[str, Any]) -> int:
    """Return how many things a batch's mean loss is taken over: labels that are not the ignored -100."""
    labels = batch["labels"]
    return int((labels != -100).sum()) if not labels.is_floating_point() else len(labels)


def _to_device(batch: Mapping[str, Any], device: Any) -> dict[str, Any]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
