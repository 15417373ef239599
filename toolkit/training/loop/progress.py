"""Progress of training: its meter, validations, the best result so far, the clock."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Integers
from toolkit.errors import RunError

REPORT_EVERY_SECONDS = 2.0
_STEPS_TO_ESTIMATE = 3  # of this process, after which the time left is estimated
WINDOWS = 200  # windows of a run, over each of which the training loss is averaged and logged


@dataclass(frozen=True)
class Progress:
    """Progress of training, for a progress bar or a log line.

    Attributes:
        step: Optimizer steps taken.
        total_steps: Optimizer steps planned.
        epoch: Passes over the data so far, with a fraction.
        loss: Mean training loss of the window so far.
        learning_rate: Current step size.
        samples_per_second: Since training began, without validation.
        seconds_left: Estimate to the end of training; None while too few steps are taken for one.
        waiting: Share of the time that was spent on waiting for data.
        whole: Whether the window is over; windows end at fixed steps, independent of the clock.
        may_stop_early: Whether training may end before `seconds_left` are over, by early stopping.
    """

    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    samples_per_second: float
    seconds_left: float | None
    waiting: float = 0.0
    whole: bool = True
    may_stop_early: bool = False


@dataclass(frozen=True)
class Validation:
    """The outcome of one validation.

    Attributes:
        step: Optimizer steps taken before it.
        epoch: Passes over the data before it.
        values: "loss" and the recipe's metrics.
        best: Whether its weights were kept, replacing earlier ones.
        early: Whether it is a first figure for the user, on some of the rows; it decides nothing.
    """

    step: int
    epoch: float
    values: Mapping[str, float]
    best: bool
    early: bool = False


class BestKeeper:
    """Records validations, saves the best weights, and decides on early stopping.

    Weights that were trained longer replace better ones while they are not worse by more than chance
    (`tolerance`): on few validation rows the highest of many results is mostly chance, and later weights have gone
    through more of the falling learning rate.

    Source: the one-standard-error rule, Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3.

    Args:
        config: Defines the metric and the patience.
        higher_is_better: Direction of improvement.
        save: Keeps the weights of a step.
        precision: In which steps are computed, for messages.
        tolerance: Best value so far → by how much a later value may be worse.
        keep_start: Whether weights of step 0 may be kept in the place of later ones.
    """

    def __init__(
        self,
        config: TrainingConfig,
        higher_is_better: bool,
        save: Callable[[int], None],
        precision: str = "fp32",
        tolerance: Callable[[float], float] = lambda _best: 0.0,
        *,
        keep_start: bool = True,
    ) -> None:
        self.keep_start = keep_start
        self.tolerance = tolerance
        self.precision = precision
        self.metric = config.best_metric
        self.patience = config.early_stopping_patience
        self.sign = 1.0 if higher_is_better else -1.0
        self.save = save
        self.best_step = 0
        self.since_best = 0
        self.validations: list[Validation] = []

    def consider(self, step: int, epoch: float, values: Mapping[str, float]) -> Validation:
        """Record a validation; save the weights if it is the best so far."""
        if self.metric not in values:
            raise RunError(
                f"The validation rows do not define {self.metric}, which selects the best weights.",
                "Choose another training.best_metric, such as loss, or give validation rows of every class.",
                id="run.metric-undefined",
            )
        for name in ("loss", self.metric):
            check_finite(f"validation {name}", values[name], step, self.precision)
        rivals = [v for v in self.validations if v.step > 0 or self.keep_start]
        best = max((self._merit(v.values) for v in rivals), default=(-math.inf, -math.inf))
        improved = self._merit(values) > best
        self.since_best = 0 if improved else self.since_best + 1
        kept = improved or self._is_near(values, best[0])
        if kept:
            self.best_step = step
            self.save(step)
        self.validations.append(Validation(step, epoch, dict(values), kept))
        return self.validations[-1]

    def _is_near(self, values: Mapping[str, float], best: float) -> bool:
        """Whether weights are within chance of the best, and better than those before the first step.

        Where chance can explain the lead of the first weights in the metric, the loss decides: it varies less with few
        validation rows.
        """
        (value, negative_loss), start = self._merit(values), self._start()
        if best - value >= self.tolerance(abs(best)):
            return False
        return start is None or value > start[0] or negative_loss > start[1]

    def _start(self) -> tuple[float, float] | None:
        """Return the merit of the weights before the first step, where they may be kept."""
        if not self.keep_start:
            return None
        return next((self._merit(validation.values) for validation in self.validations if validation.step == 0), None)

    def _merit(self, values: Mapping[str, float]) -> tuple[float, float]:
        return (self.sign * values[self.metric], -values["loss"])  # of equal ones, the one with the lower loss

    @property
    def patience_is_over(self) -> bool:
        """Whether too many validations have passed without improvement."""
        return self.patience is not None and self.since_best >= self.patience

    def may_stop_early(self, validations_left: int) -> bool:
        """Whether patience can be over before the last of so many validations to come."""
        return self.patience is not None and validations_left > self.patience - self.since_best

    def facts(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        validations = [asdict(validation) for validation in self.validations]
        return {"best_step": self.best_step, "since_best": self.since_best, "validations": validations}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Restore the state from `facts`."""
        self.best_step, self.since_best = facts["best_step"], facts["since_best"]
        self.validations = [Validation(**validation) for validation in facts["validations"]]


def calmer(precision: str) -> str:
    """Return the fix for figures that are not finite, in a run of that precision."""
    if precision == "fp32":
        return "Lower the learning rate (--learning-rate)."
    return "Lower the learning rate (--learning-rate), or compute in fp32 (`--set training.precision=fp32`)."


def check_finite(what: str, value: float, step: int, precision: str) -> None:
    """Stop a run whose figures are not finite.

    Raises:
        RunError: `value` is infinite or not a number.
    """
    if not math.isfinite(value):
        raise RunError(f"The {what} is {value} at step {step}.", calmer(precision), id="run.loss-not-finite")


class NonFiniteLoss(RunError):
    """The training loss is infinite or not a number.

    Args:
        step: The first step whose loss was so.
        value: That loss.
        rows: Numbers of the training examples that the step saw. Shape (rows,).
        precision: In which it was computed.
    """

    def __init__(self, step: int, value: float, rows: Integers, precision: str = "fp32") -> None:
        super().__init__(f"The training loss is {value} at step {step}.", calmer(precision), id="run.loss-not-finite")
        self.step = step
        self.rows = rows


@dataclass(frozen=True)
class _Step:
    """One optimizer step, whose loss may still be on the device.

    `ends` tells whether a window ends with it; `trained` is the time of training alone at its end, in seconds, and
    `work` all work so far, in mean steps.
    """

    step: int
    epoch: float
    learning_rate: float
    loss: Any
    rows: Integers
    ends: bool
    trained: float
    work: float


def _usual(seconds: list[float]) -> float:
    """Return the mean of some times without the first, which also warms up, unless it is the only one."""
    usual = seconds[1:] or seconds
    return sum(usual) / len(usual)


class Meter:
    """Keeps the running loss and the clock; losses stay on the device until they are reported.

    The first step of a process also warms up libraries and the allocator, so the time left follows from the steps after
    it, each counted by the length of its examples, and from what validations and saving took so far. It is unknown
    until three steps are taken.

    Args:
        total_steps: Optimizer steps planned.
        precision: In which they are computed, for messages.
        validate_every: Optimizer steps between validations; none when None.
        may_stop_early: Validations left → whether training may end before the last of them.
        most_seconds: Returns the seconds that training may still take.
    """

    def __init__(
        self,
        total_steps: int,
        precision: str = "fp32",
        validate_every: int | None = None,
        may_stop_early: Callable[[int], bool] = lambda _left: False,
        most_seconds: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self.total_steps = total_steps
        self.precision = precision
        self.validate_every = validate_every
        self.may_stop_early = may_stop_early
        self.most_seconds = most_seconds
        self._pauses: dict[str, list[float]] = {}  # reason of a pause → seconds of each
        self._first: _Step | None = None  # of this process
        self._work = 0.0
        self.losses: list[dict[str, float]] = []
        self._unread: list[_Step] = []
        self._window: list[float] = []
        self._samples = 0
        self._start = time.perf_counter()
        self._paused = 0.0
        self._waited = 0.0
        self._last_report = self._start

    def count(
        self,
        step: int,
        epoch: float,
        learning_rate: float,
        loss: Any,
        rows: Integers,
        validating: bool = False,
        work: float = 1.0,
    ) -> None:
        """Record one optimizer step: its loss, a number or a tensor, and its examples.

        A window ends every total_steps / WINDOWS steps and before each validation. `work` is the length of its examples
        as a multiple of a step's mean.
        """
        ends = validating or step % math.ceil(self.total_steps / WINDOWS) == 0
        self._work += work
        at = _Step(step, epoch, learning_rate, loss, rows, ends, self.seconds - self._paused, self._work)
        self._unread.append(at)
        self._samples += len(rows)
        if self._first is None:
            self._first = at

    def wait(self, seconds: float) -> None:
        """Record how long training waited for data."""
        self._waited += seconds

    def due(self) -> bool:
        """Whether it is time for another report."""
        return time.perf_counter() - self._last_report >= REPORT_EVERY_SECONDS

    def report(self) -> Iterator[Progress]:
        """Yield the progress at the end of each window since the last report, and now; wait for the device.

        Raises:
            NonFiniteLoss: A loss is infinite or not a number; the first is named.
        """
        unread, self._unread = self._unread, []
        for at in unread:
            loss = float(at.loss)
            if not math.isfinite(loss):
                raise NonFiniteLoss(at.step, loss, at.rows, self.precision)
            self._window.append(loss)
            if at is unread[-1]:  # the device has finished these steps
                at = replace(at, trained=self.seconds - self._paused)
            if at.ends or at.step == unread[-1].step:
                yield self._progress(at)
        self._last_report = time.perf_counter()

    def _progress(self, at: _Step) -> Progress:
        mean = math.fsum(self._window) / len(self._window)
        if at.ends:
            self._window = []
            self.losses.append({"step": at.step, "epoch": round(at.epoch, 4), "value": mean})
        return Progress(
            at.step,
            self.total_steps,
            at.epoch,
            mean,
            at.learning_rate,
            self.samples_per_second,
            self._seconds_left(at),
            self.waiting,
            whole=at.ends,
            may_stop_early=self.may_stop_early(self._validations_left(at.step)),
        )

    def _seconds_left(self, at: _Step) -> float | None:
        """Estimate the time from the end of a step to the end of training, validations and saving included."""
        if at.step == self.total_steps:
            return 0.0
        first = self._first or at
        if at.step - first.step + 1 < _STEPS_TO_ESTIMATE or at.work <= first.work:
            return None
        step_seconds = (at.trained - first.trained) / (at.work - first.work)
        validations = self._validations_left(at.step)
        pauses = sum(validations * _usual(each) for each in self._pauses.values())
        return min(step_seconds * (self.total_steps - at.step) + pauses, self.most_seconds())

    def _validations_left(self, step: int) -> int:
        """Return how many validations come after a step, the one at its end included; none after the last step."""
        if not self.validate_every or step == self.total_steps:
            return 0
        return math.ceil(self.total_steps / self.validate_every) - (step - 1) // self.validate_every

    @contextmanager
    def paused(self, reason: str | None = None) -> Iterator[None]:
        """Exclude the time of a block from the speed.

        Args:
            reason: What recurs with each validation, such as "validation"; None for what does not.
        """
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self._paused += seconds
            if reason is not None:
                self._pauses.setdefault(reason, []).append(seconds)

    @property
    def seconds(self) -> float:
        """Wall time since training began, interruptions left out."""
        return time.perf_counter() - self._start

    @property
    def trained(self) -> float:
        """Time of training alone, in seconds."""
        return self.seconds - self._paused

    @property
    def samples_per_second(self) -> float:
        """Speed of training alone."""
        return self._samples / max(1e-9, self.trained)

    @property
    def waiting(self) -> float:
        """Share of the time of training alone that was spent on waiting for data."""
        return self._waited / max(1e-9, self.seconds - self._paused)

    def facts(self) -> dict[str, Any]:
        """Return what `restore` needs, once everything is reported."""
        times = {"seconds": self.seconds, "paused": self._paused, "waited": self._waited}
        return {"losses": self.losses, "window": self._window, "samples": self._samples, **times}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Continue from the counts in `facts`."""
        self.losses, self._samples = list(facts["losses"]), facts["samples"]
        self._window = list(facts["window"])
        self._paused, self._waited = facts["paused"], facts["waited"]
        self._start = time.perf_counter() - facts["seconds"]
