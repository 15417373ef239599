"""The training loop: the only one in the project, for every task and device, on Accelerate.

    for each step of the plan                      plan_epoch(): which examples, decided by seed and epoch alone
        for each micro-batch of the step
            loss  = the objective's mean over the micro-batch's items
            backward(loss × weight of the items / weight of the step's)
        clip, optimizer, schedule
        validate when due → the best so far is saved → stop early when nothing improves
        write the state when due, or when asked to stop

Weighing by the items of the step makes accumulated micro-batches equal to one large batch, for losses
over examples and over target tokens alike. The plan is a function of the step's number, so a run that is taken up
again goes on with the very example where it stopped, and reads nothing twice.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, Integers, plan_epoch, probe
from toolkit.distributed.process_group import ALONE, Team
from toolkit.errors import Interrupted
from toolkit.runs.trust import damage
from toolkit.training.acceleration.accelerate_model import AcceleratedModel, accelerated
from toolkit.training.acceleration.autotune import ComputeSettings
from toolkit.training.adaptation import ema
from toolkit.training.distributed import data_parallel, sharding
from toolkit.training.loop import checkpoint
from toolkit.training.loop.objective import OWN, Objective
from toolkit.training.loop.prefetch import Prefetched
from toolkit.training.loop.progress import BestKeeper, Meter, Progress, Validation
from toolkit.training.loop.schedule import build_optimizer, learning_rate_factor
from toolkit.training.loop.step import Collate, Forward
from toolkit.training.loop.step_plan import StepPlan

WriteState = Callable[[int, checkpoint.Tensors, Mapping[str, Any], Sequence[Mapping[str, Any]]], None]


@dataclass(frozen=True)
class TrainingResult:
    """What training did.

    Attributes:
        steps: Optimizer steps taken.
        total_steps: Optimizer steps planned.
        epochs: Passes over the data made.
        seconds: Wall time, validation and saving included.
        samples_per_second: Of training alone.
        waiting: Share of that time that was spent on waiting for data.
        best_step: Step of the weights that were kept.
        stopped_early: Whether early stopping ended it.
        losses: Training loss along the way: {"step", "epoch", "value"}.
        validations: Each validation.
        planned_steps: Steps planned once the speed was known, where the time was limited.
        unlimited_steps: Steps of the training without a limit.
    """

    steps: int
    total_steps: int
    epochs: float
    seconds: float
    samples_per_second: float
    waiting: float
    best_step: int
    stopped_early: bool
    losses: Sequence[Mapping[str, float]]
    validations: Sequence[Validation]
    planned_steps: int
    unlimited_steps: int


def train(
    model: Any,
    features: Features,
    collate: Collate,
    config: TrainingConfig,
    accelerator: Any,
    *,
    objective: Objective = OWN,
    validate: Callable[[Any], Mapping[str, float]],
    save: Callable[[Any, int], None],
    higher_is_better: bool,
    observe: Callable[[Progress | Validation], None],
    write_state: WriteState | None = None,
    state: checkpoint.State | None = None,
    stop_requested: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _text: None,
    team: Team = ALONE,
    factor: Callable[[int], float] | None = None,
    after_step: Callable[[int, Any], None] = lambda _step, _loss: None,
    augment: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    compute: ComputeSettings | None = None,
    validate_first: bool = False,
    early_validation: Callable[[Any], Mapping[str, float]] | None = None,
    tolerance: Callable[[float], float] = lambda _best: 0.0,
    fitting: Callable[[int, int], StepPlan] | None = None,
) -> TrainingResult:
    """Fine-tune `model` in place and hand its best weights to `save`.

    Args:
        model: A transformers model whose output has a `loss`, the mean over its batch's items, and `logits`.
        features: The training examples.
        collate: Stacks examples into a batch of tensors.
        config: How the weights move; `learning_rate` is set.
        accelerator: An `accelerate.Accelerator`.
        objective: What is minimised.
        validate: Judges the model; the result holds "loss" and `config.best_metric`.
        save: Keeps the model's weights of a step as the best so far; called in the main process alone.
        higher_is_better: Which way `config.best_metric` improves.
        observe: Called with the progress and with each validation.
        write_state: Writes (step, weights and moments, facts, each process's random state) where
            `checkpoint.newest` finds it; called in the main process alone.
        state: Where to go on from.
        stop_requested: Whether to write the state and stop.
        say: Called with what the user should know.
        team: The processes that share the work; each calls this with the same arguments.
        factor: Optimizer steps taken → factor on the peak learning rate; the schedule's when None.
        after_step: Called after each optimizer step with its number and loss, a tensor on the device; what it raises
            ends training.
        augment: Changes a batch at random, on the device and in training alone. Labels that it turns into shares of
            each class (B, C) are the objective's and do not reach the model.
        compute: What attends, and whether the layers are compiled; in the accelerator's precision. Nothing special when
            None.
        tolerance: Best validation figure so far → how far behind it weights of a later step may be and still be kept.
        validate_first: Whether the model as it comes may be the best: it is validated before the first step.
        early_validation: Judges the model on some of the validation rows: a first figure for the user after a tenth of
            the steps, where no validation comes before. It changes nothing.
        fitting: (steps without a limit, steps between validations) → the plan that fits into a limited time; no limit
            when None.

    Raises:
        NonFiniteLoss: The loss is no longer a finite number.
        RunError: The metric that picks the best weights is no longer a finite number.
        Interrupted: `stop_requested` returned true.
    """
    prepared = accelerator.prepare_model(model, evaluation_mode=True)  # as it is: `parallel` averages the gradients
    data_parallel.begin(team, prepared, config.seed)
    sharded = config.strategy == "fsdp" and team.size > 1
    if sharded:
        sharding.share_out(prepared, accelerator.device, team)
    optimizer = accelerator.prepare_optimizer(build_optimizer(model, config))
    steps_per_epoch = math.ceil(len(features) / config.batch_size)
    total_steps = max(1, math.ceil(steps_per_epoch * config.epochs))
    validate_every = config.evaluate_every or steps_per_epoch
    limited = fitting(total_steps, validate_every) if fitting is not None else None
    factor = factor or (limited.factor if limited is not None else learning_rate_factor(config, total_steps))
    peaks = [group["lr"] for group in optimizer.param_groups]

    def keep(step: int) -> None:
        if team.is_main:
            save(accelerator.unwrap_model(prepared), step)

    precision = {"no": "fp32"}.get(accelerator.mixed_precision, accelerator.mixed_precision)
    keeper = BestKeeper(config, higher_is_better, keep, precision, tolerance)
    meter = Meter(total_steps, precision, validate_every, keeper.may_stop_early)
    mean_work = max(1e-9, float(features.lengths.sum()) / steps_per_epoch)
    early_step = max(1, total_steps // 10) if early_validation is not None and not validate_first else 0
    step = 0
    if state is not None:
        with damage(state.path):
            checkpoint.restore(state, accelerator.unwrap_model(prepared), _bare(optimizer), team.rank)
            keeper.restore(state.facts)
            meter.restore(state.facts["meter"])
            step = int(state.step)
            if limited is not None:
                whole = {"total": total_steps, "planned": None, "progress": step / total_steps}
                limited.restore(state.facts.get("plan", whole))
    plan = () if keeper.patience_is_over else _steps(features.lengths, config, step, total_steps)
    trial = None if objective.penalty is not None else probe(features, collate)  # recorded attention is padded
    if trial is not None and not objective.labels:
        trial.pop("labels")
    if config.acceleration == "off":
        ready: AbstractContextManager[AcceleratedModel] = nullcontext(AcceleratedModel())
    else:
        ready = accelerated(model, trial, team.size, *(() if compute is None else (compute.kernel, compute.compiled)))
    inputs = Prefetched(
        plan,
        lambda indices: forward.prepare(data_parallel.deal(indices, features.lengths, team)),
        ahead=accelerator.device.type != "cpu",
        say=say,
    )
    with ready as quick, inputs:
        together = team if sharded else ALONE
        forward = Forward(prepared, accelerator, objective, collate, features, config, quick, say, augment, together)
        last_state = time.monotonic()

        def judge_step(judge: Callable[[Any], Mapping[str, float]] | None = None) -> None:
            start = time.monotonic()
            with meter.paused("validation"), ema.applied(_bare(optimizer)), sharding.gathered(prepared):
                prepared.eval()
                data_parallel.share_buffers(team, prepared)
                values = (judge or validate)(accelerator.unwrap_model(prepared))
                prepared.train()
                epoch = step / steps_per_epoch
                observe(Validation(step, epoch, values, False, True) if judge else keeper.consider(step, epoch, values))
            if limited is not None:
                limited.validated(time.monotonic() - start, meter.trained)

        prepared.train()
        if validate_first and step == 0:
            judge_step()
        if limited is not None:
            limited.begin(step, meter.trained)
            meter.total_steps = total_steps = limited.total
        for indices, share in inputs if step < total_steps else ():
            meter.wait(inputs.waited)
            mine, items = forward.backward(share)
            due = time.monotonic() - last_state >= 60 * config.checkpoint_minutes
            requests = (stop_requested(), due)
            loss, (stopping, due) = data_parallel.average(team, prepared, mine, items, requests, gradients=not sharded)
            if config.max_grad_norm:
                accelerator.clip_grad_norm_(prepared.parameters(), config.max_grad_norm)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor(step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            after_step(step, loss)
            if limited is not None:
                limited.after(step, meter.trained)
                meter.total_steps = total_steps = limited.total
            if config.ema_decay is not None:
                ema.update(_bare(optimizer), config.ema_decay, step)
            on_the_way = step % validate_every == 0 and (limited is None or limited.validate)
            validating = on_the_way or step == total_steps
            rate = max(group["lr"] for group in optimizer.param_groups)
            work = float(features.lengths[indices].sum()) / mean_work
            meter.count(step, step / steps_per_epoch, rate, loss, indices, validating, work)
            writing = write_state is not None and (validating or stopping or due)
            if validating or writing or meter.due():  # a state is written of what is still a number
                for progress in meter.report():
                    observe(progress)
            if validating:
                judge_step()
            elif step == early_step and step < validate_every:
                judge_step(early_validation)
            if write_state is not None and writing:
                with meter.paused("saving" if validating else None):
                    facts = {**keeper.facts(), "meter": meter.facts(), "processes": team.size}
                    facts |= {"plan": limited.facts()} if limited is not None else {}
                    randoms = team.everyones(checkpoint.random_state())
                    tensors = checkpoint.gather(accelerator.unwrap_model(prepared), _bare(optimizer))
                    if team.is_main:
                        write_state(step, tensors, facts, randoms)
                    team.wait()
                last_state = time.monotonic()
            if stopping:
                kept = " Its state is saved." if write_state is not None else ""
                raise Interrupted(
                    f"Stopped at step {step} of {total_steps}.{kept}",
                    "Go on with the same command and --resume.",
                    id="run.interrupted",
                )
            if keeper.patience_is_over or step >= total_steps:
                break
    return TrainingResult(
        steps=step,
        total_steps=total_steps,
        epochs=step / steps_per_epoch,
        seconds=meter.seconds,
        samples_per_second=meter.samples_per_second,
        waiting=meter.waiting,
        best_step=keeper.best_step,
        stopped_early=step < total_steps,
        losses=meter.losses,
        validations=keeper.validations,
        planned_steps=total_steps if limited is None or limited.planned is None else limited.planned,
        unlimited_steps=total_steps if limited is None else limited.unlimited,
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
