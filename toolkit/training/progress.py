"""What training tells and remembers: progress, validations, the best so far, the clock."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from toolkit.data.batch import Integers
from toolkit.errors import RunError
from toolkit.settings import TrainingConfig

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
        waiting: Share of the time that was spent on waiting for data.
    """

    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    samples_per_second: float
    seconds_left: float
    waiting: float = 0.0


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


class BestKeeper:
    """Remembers validations, has the best weights saved, and knows when patience is over."""

    def __init__(self, config: TrainingConfig, higher_is_better: bool, save: Callable[[int], None]) -> None:
        self.metric = config.best_metric
        self.patience = config.early_stopping_patience
        self.sign = 1.0 if higher_is_better else -1.0
        self.save = save
        self.best_step = 0
        self.since_best = 0
        self.validations: list[Validation] = []

    def consider(self, step: int, epoch: float, values: Mapping[str, float]) -> Validation:
        """Take note of a validation; save the weights if it is the best so far."""
        for name in ("loss", self.metric):
            check_finite(f"validation {name}", values[name], step)
        best = not self.validations or self._merit(values) > max(self._merit(v.values) for v in self.validations)
        if best:
            self.best_step, self.since_best = step, 0
            self.save(step)
        else:
            self.since_best += 1
        self.validations.append(Validation(step, epoch, dict(values), best))
        return self.validations[-1]

    def _merit(self, values: Mapping[str, float]) -> tuple[float, float]:
        return (self.sign * values[self.metric], -values["loss"])  # of equals, the one with the lower loss

    @property
    def patience_is_over(self) -> bool:
        """Whether too many validations have gone by without improvement."""
        return self.patience is not None and self.since_best >= self.patience

    def facts(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        validations = [asdict(validation) for validation in self.validations]
        return {"best_step": self.best_step, "since_best": self.since_best, "validations": validations}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Remember again what `facts` held."""
        self.best_step, self.since_best = facts["best_step"], facts["since_best"]
        self.validations = [Validation(**validation) for validation in facts["validations"]]


def check_finite(what: str, value: float, step: int) -> None:
    """Stop a run whose figures are no longer numbers.

    Raises:
        RunError: `value` is infinite or not a number.
    """
    if not math.isfinite(value):
        raise RunError(
            f"The {what} is {value} at step {step}.",
            "Lower the learning rate (--learning-rate), or compute in fp32 (`--set training.precision=fp32`).",
        )


class NonFiniteLoss(RunError):
    """The training loss is infinite or not a number.

    Args:
        step: The first step whose loss was so.
        value: That loss.
        rows: Numbers of the training examples that the step saw. Shape (rows,).
    """

    def __init__(self, step: int, value: float, rows: Integers) -> None:
        super().__init__(
            f"The training loss is {value} at step {step}.",
            "Lower the learning rate (--learning-rate), or compute in fp32 (`--set training.precision=fp32`).",
        )
        self.step = step
        self.rows = rows


class Meter:
    """Keeps the running loss and the clock; losses stay on the device until they are reported or checked."""

    def __init__(self, total_steps: int) -> None:
        self.total_steps = total_steps
        self.losses: list[dict[str, float]] = []
        self._recent: list[tuple[int, Any, Integers]] = []  # step, loss and examples since the last report
        self._samples = 0
        self._start = time.perf_counter()
        self._paused = 0.0
        self._waited = 0.0
        self._last_report = self._start

    def count(self, step: int, loss: Any, rows: Integers) -> None:
        """Take note of one optimizer step: its loss, a number or a tensor, and the examples that it saw."""
        self._recent.append((step, loss, rows))
        self._samples += len(rows)

    def wait(self, seconds: float) -> None:
        """Take note of how long training stood waiting for data."""
        self._waited += seconds

    def check(self) -> float:
        """Return the sum of the losses since the last report, having waited for the device once.

        Raises:
            NonFiniteLoss: One of them is infinite or not a number; the first is named.
        """
        total = float(sum(loss for _, loss, _ in self._recent))
        if not math.isfinite(total):
            for step, loss, rows in self._recent:
                if not math.isfinite(float(loss)):
                    raise NonFiniteLoss(step, float(loss), rows)
        return total

    def due(self) -> bool:
        """Whether it is time for another report."""
        return time.perf_counter() - self._last_report >= LOG_EVERY_SECONDS

    def report(self, step: int, epoch: float, learning_rate: float) -> Progress:
        """Return the mean loss since the last report, and the estimate to the end."""
        loss = self.check() / max(1, len(self._recent))
        self._recent = []
        self._last_report = time.perf_counter()
        self.losses.append({"step": step, "epoch": round(epoch, 4), "value": loss})
        left = (self.seconds - self._paused) / step * (self.total_steps - step)
        return Progress(step, self.total_steps, epoch, loss, learning_rate, self.samples_per_second, left, self.waiting)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the time of a block out of the speed."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._paused += time.perf_counter() - start

    @property
    def seconds(self) -> float:
        """Wall time since training began, interruptions left out."""
        return time.perf_counter() - self._start

    @property
    def samples_per_second(self) -> float:
        """Speed of training alone."""
        return self._samples / max(1e-9, self.seconds - self._paused)

    @property
    def waiting(self) -> float:
        """Share of the time of training alone that was spent on waiting for data."""
        return self._waited / max(1e-9, self.seconds - self._paused)

    def facts(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        times = {"seconds": self.seconds, "paused": self._paused, "waited": self._waited}
        return {"losses": self.losses, "samples": self._samples, **times}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Go on counting from what `facts` held."""
        self.losses, self._samples = list(facts["losses"]), facts["samples"]
        self._paused, self._waited = facts["paused"], facts["waited"]
        self._start = time.perf_counter() - facts["seconds"]
