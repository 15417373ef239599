"""The training loop: the only one in the project, for every task and device, on Accelerate.

    for each step of the plan                      plan_epoch(): which examples, decided by seed and epoch alone
        for each micro-batch of the step
            loss  = the objective's mean over the micro-batch's items
            backward(loss × weight of the items / weight of the step's)
        clip, optimizer, schedule
        validate when due → save the best so far → stop early without improvement
        write the state when due, or on a request to stop

Weighing by the items of the step makes accumulated micro-batches equal to one large batch, for losses
over examples and over target tokens alike. The plan is a function of the step's number, so a resumed run
continues with the same example, and reads nothing twice.
"""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, Integers, probe
from toolkit.distributed.process_group import ALONE, Team
from toolkit.errors import Interrupted
from toolkit.runs.trust import damage
from toolkit.training.acceleration.accelerate_model import AcceleratedModel, accelerated
from toolkit.training.acceleration.autotune import ComputeSettings
from toolkit.training.adaptation import ema
from toolkit.training.distributed import data_parallel, sharding
from toolkit.training.loop import checkpoint
from toolkit.training.loop.arguments import Callbacks, Selection, StepControl, TrainingData, Validate
from toolkit.training.loop.prefetch import Prefetched
from toolkit.training.loop.progress import BestKeeper, Meter, Validation
from toolkit.training.loop.schedule import build_optimizer, clip_gradients, learning_rate_factor
from toolkit.training.loop.step import Forward
from toolkit.training.loss.objective import OWN, Objective, model_inputs


@dataclass(frozen=True)
class TrainingResult:
    """The result of training.

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
        planned_steps: Steps planned with the measured speed, where the time is limited.
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


_KEEP_NOTHING, _SILENT, _FROM_THE_START = Selection(), Callbacks(), StepControl()


def train(
    model: Any,
    data: TrainingData,
    config: TrainingConfig,
    accelerator: Any,
    *,
    objective: Objective = OWN,
    selection: Selection = _KEEP_NOTHING,
    callbacks: Callbacks = _SILENT,
    control: StepControl = _FROM_THE_START,
    team: Team = ALONE,
    compute: ComputeSettings | None = None,
) -> TrainingResult:
    """Fine-tune `model` in place and pass its best weights to `selection.save`.

    Args:
        model: A transformers model whose output has a `loss`, the mean over its batch's items, and `logits`.
        data: The training examples.
        config: The training settings; `learning_rate` is set.
        accelerator: An `accelerate.Accelerator`.
        objective: What is minimised.
        selection: How the weights that are kept are chosen.
        callbacks: The callbacks of the loop.
        control: Where the steps begin, how many there are, and at which rates.
        team: The processes that share the work; each calls this with the same arguments.
        compute: Attention kernel, and whether the layers are compiled; in the accelerator's precision. Defaults when
            None.

    Raises:
        NonFiniteLoss: The loss is no longer a finite number.
        RunError: The metric that selects the best weights is no longer a finite number.
        Interrupted: `callbacks.stop_requested` returned true.
    """
    loop = _Loop(model, data, config, accelerator, objective, selection, callbacks, control, team)
    padded = objective.penalty is not None or objective.arguments  # recorded attention, hidden states of all tokens
    trial = None if padded else model_inputs(probe(data.features, data.collate))
    if trial is not None and not objective.labels:
        trial.pop("labels")
    if config.acceleration == "off":
        ready: AbstractContextManager[AcceleratedModel] = nullcontext(AcceleratedModel())
    else:
        ready = accelerated(model, trial, team.size, *(() if compute is None else (compute.kernel, compute.compiled)))
    with ready as quick, loop.inputs:
        loop.run(quick)
    return loop.result()


class _Loop:
    """A training while it runs."""

    def __init__(
        self,
        model: Any,
        data: TrainingData,
        config: TrainingConfig,
        accelerator: Any,
        objective: Objective,
        selection: Selection,
        callbacks: Callbacks,
        control: StepControl,
        team: Team,
    ) -> None:
        self.data, self.config, self.accelerator, self.objective = data, config, accelerator, objective
        self.selection, self.callbacks, self.team = selection, callbacks, team
        # without a wrapper: `Forward` has the one that averages gradients
        self.model = accelerator.prepare_model(model, evaluation_mode=True)
        data_parallel.seed_apart(team, config.seed)
        self.sharded = config.strategy == "fsdp" and team.size > 1
        if self.sharded:
            sharding.share_out(self.model, accelerator.device, team)
        self.optimizer = accelerator.prepare_optimizer(build_optimizer(model, config))
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.steps_per_epoch = data.steps_per_epoch(config)
        self.total_steps = max(1, math.ceil(self.steps_per_epoch * config.epochs))
        self.validate_every = config.evaluate_every or self.steps_per_epoch
        self.limited = None if control.limit is None else control.limit(self.total_steps, self.validate_every)
        scheduled = learning_rate_factor(config, self.total_steps) if self.limited is None else self.limited.factor
        self.factor = control.factor or scheduled
        precision = {"no": "fp32"}.get(accelerator.mixed_precision, accelerator.mixed_precision)
        self.keeper = BestKeeper(
            config,
            selection.higher_is_better,
            self._keep,
            precision,
            selection.tolerance,
            keep_start=selection.keep_start,
        )
        most_seconds = (lambda: math.inf) if self.limited is None else self.limited.seconds_left
        self.meter = Meter(self.total_steps, precision, self.validate_every, self.keeper.may_stop_early, most_seconds)
        self.mean_work = max(1e-9, float(data.features.lengths.mean()) * config.batch_size)
        early = selection.early is not None and not selection.validate_first
        self.early_step = max(1, self.total_steps // 10) if early else 0
        self.step = 0
        if control.state is not None:
            self._restore(control.state)
        over = self.keeper.patience_is_over
        plan = () if over else data.steps(config, self.step, self.total_steps)
        self.inputs = Prefetched(
            plan,
            lambda step: self.forward.prepare(step[0], data_parallel.deal(step[1], step[0].lengths, team)),
            ahead=accelerator.device.type != "cpu",
            say=callbacks.say,
        )
        self.last_state = time.monotonic()

    def run(self, quick: AcceleratedModel) -> None:
        """Take the steps that are left."""
        self.forward = Forward(
            *(self.model, self.accelerator, self.objective, self.data, self.config),
            *(quick, self.callbacks.say, self.team, self.total_steps),
        )
        self.last_state = time.monotonic()
        self.model.train()
        if self.selection.validate_first and self.step == 0:
            self._validate()
        if self.limited is not None:
            self.limited.begin(self.step, self.meter.trained)
            self.meter.total_steps = self.total_steps = self.limited.total
        for (features, rows), share in self.inputs if self.step < self.total_steps else ():
            stopping, due = self._take(features, rows, share)
            self._after(stopping=stopping, due=due)
            if stopping:
                kept = " Its state is saved." if self.callbacks.write_state is not None else ""
                raise Interrupted(
                    f"Stopped at step {self.step} of {self.total_steps}.{kept}",
                    "Resume with the same command and --resume.",
                    id="run.interrupted",
                )
            if self.keeper.patience_is_over or self.step >= self.total_steps:
                break

    def _take(self, features: Features, rows: Integers, share: Any) -> tuple[bool, bool]:
        """Take one optimizer step; return whether to stop, and whether a state is due, as all processes agree."""
        config = self.config
        self.meter.wait(self.inputs.waited)
        part = self.forward.backward(share)
        due = time.monotonic() - self.last_state >= 60 * config.checkpoint_minutes
        requests = (self.callbacks.stop_requested(), due, bool(self.forward.late))
        loss, (stopping, due, late) = data_parallel.agreed(self.team, part, requests, self.accelerator.device)
        if late:
            data_parallel.forget_unused(self.team, self.model, self.forward.late)
        if config.max_grad_norm:
            norm, sharded = config.max_grad_norm, self.sharded
            clip_gradients(self.accelerator, self.model, self.optimizer, norm, sharded=sharded)
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * self.factor(self.step)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.callbacks.after_step(self.step, loss)
        if self.limited is not None:
            self.limited.after(self.step, self.meter.trained)
            self.meter.total_steps = self.total_steps = self.limited.total
        if config.ema_decay is not None:
            ema.update(_bare(self.optimizer), config.ema_decay, self.step)
        rate = max(group["lr"] for group in self.optimizer.param_groups)
        work = float(features.lengths[rows].sum()) / self.mean_work
        self.meter.count(self.step, self.step / self.steps_per_epoch, rate, loss, rows, self._validating, work)
        return stopping, due

    @property
    def _validating(self) -> bool:
        """Whether a validation follows the step that was taken."""
        on_the_way = self.step % self.validate_every == 0 and (self.limited is None or self.limited.validate)
        return on_the_way or self.step == self.total_steps

    def _after(self, *, stopping: bool, due: bool) -> None:
        """Report, validate and write the state after a step, where that is due."""
        validating = self._validating
        writing = self.callbacks.write_state is not None and (validating or stopping or due)
        if validating or writing or self.meter.due():  # only finite states are saved
            for progress in self.meter.report():
                self.callbacks.observe(progress)
        if validating:
            self._validate()
        elif self.step == self.early_step and self.step < self.validate_every:
            self._validate(self.selection.early)
        if writing:
            self._write("saving" if validating else None)

    def _validate(self, early: Validate | None = None) -> None:
        """Validate the averaged weights, if any; `early` has no effect on training."""
        start = time.monotonic()
        with self.meter.paused("validation"), ema.applied(_bare(self.optimizer)), sharding.gathered(self.model):
            self.model.eval()
            data_parallel.spread(self.team, self.model.buffers())
            values = (early or self.selection.validate)(self.accelerator.unwrap_model(self.model))
            self.model.train()
            epoch = self.step / self.steps_per_epoch
            if early:
                event = Validation(self.step, epoch, values, False, True)
            else:
                event = self.keeper.consider(self.step, epoch, values)
            self.callbacks.observe(event)
        if self.limited is not None:
            self.limited.validated(time.monotonic() - start, self.meter.trained)

    def _keep(self, step: int) -> None:
        if self.team.is_main:
            self.selection.save(self.accelerator.unwrap_model(self.model), step)

    def _write(self, pause: str | None) -> None:
        """Write the state of training."""
        with self.meter.paused(pause):
            facts = {**self.keeper.facts(), "meter": self.meter.facts(), "processes": self.team.size}
            facts |= {"plan": self.limited.facts()} if self.limited is not None else {}
            randoms = self.team.everyones(checkpoint.random_state())
            tensors = checkpoint.gather(self.accelerator.unwrap_model(self.model), _bare(self.optimizer))
            if self.team.is_main and self.callbacks.write_state is not None:
                self.callbacks.write_state(self.step, tensors, facts, randoms)
            self.team.wait()
        self.last_state = time.monotonic()

    def _restore(self, state: checkpoint.State) -> None:
        """Resume from a state."""
        with damage(state.path):
            unwrapped = self.accelerator.unwrap_model(self.model)
            checkpoint.restore(state, unwrapped, _bare(self.optimizer), self.team.rank)
            self.keeper.restore(state.facts)
            self.meter.restore(state.facts["meter"])
            self.step = int(state.step)
            if self.limited is not None:
                whole = {"total": self.total_steps, "planned": None, "progress": self.step / self.total_steps}
                self.limited.restore(state.facts.get("plan", whole))

    def result(self) -> TrainingResult:
        """Return the result of training."""
        limited = self.limited
        return TrainingResult(
            steps=self.step,
            total_steps=self.total_steps,
            epochs=self.step / self.steps_per_epoch,
            seconds=self.meter.seconds,
            samples_per_second=self.meter.samples_per_second,
            waiting=self.meter.waiting,
            best_step=self.keeper.best_step,
            stopped_early=self.step < self.total_steps,
            losses=self.meter.losses,
            validations=self.keeper.validations,
            planned_steps=self.total_steps if limited is None or limited.planned is None else limited.planned,
            unlimited_steps=self.total_steps if limited is None else limited.unlimited,
        )


def _bare(optimizer: Any) -> Any:
    """Return the torch optimizer inside Accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)
