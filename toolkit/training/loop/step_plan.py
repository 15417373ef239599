"""How many optimizer steps fit into the time for training, computed again after each step.

    seconds left − those of a validation
    ──────────────────────────────────── = steps left, at most as many as training takes without a limit
          seconds of a step

The learning rate follows the progress through the plan rather than the number of the step: each step takes progress an
equal share of the remaining progress, so that the schedule ends with the time even if the speed changes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toolkit.config.settings import TrainingConfig
from toolkit.distributed.process_group import ALONE, Team
from toolkit.training.loop.schedule import learning_rate_factor

VALIDATION_SHARE = 1 / 8  # share of the training time for validations before the last one
_RECENT = 8  # minimum number of steps for an estimate of the speed
_RISE = 3.0  # maximum factor by which the work after training may be slower than measured


class StepPlan:
    """The current estimate of the number of steps that fit.

    Every process calls the same methods in the same order; the main one's clock decides.

    Args:
        config: The schedule of the learning rate.
        most: Steps of a training without a limit.
        every: Steps between validations.
        seconds_left: Factor on the time kept for what comes after training → seconds left for training.
        step_seconds: Of a step, estimated.
        validation_seconds: Of a validation, estimated.
        write_seconds: Of writing a state of training to the disk, estimated.
        team: The processes that share the work.
    """

    def __init__(
        self,
        config: TrainingConfig,
        most: int,
        every: int,
        seconds_left: Callable[[float], float],
        step_seconds: float,
        validation_seconds: float,
        write_seconds: float,
        team: Team = ALONE,
    ) -> None:
        self.config = config
        self.most = self.unlimited = most
        self._every = every
        self.total = most
        self.planned: int | None = None
        self.progress = 0.0
        self.validate = True
        self._seconds_left = seconds_left
        self._guess = step_seconds
        self._validation = validation_seconds + write_seconds
        self._write = write_seconds
        self._validated = 0.0  # seconds of training at the last validation
        self._team = team
        self._marks: list[tuple[int, float]] = []  # (step, seconds of training so far)

    def seconds_left(self) -> float:
        """Return the seconds that are left for training, by the clock of this process."""
        return max(0.0, self._seconds_left(1.0))

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Continue the plan of an interrupted run: no more steps than it had."""
        self.most = self.total = min(self.most, int(facts["total"]))
        self.planned, self.progress = facts["planned"], float(facts["progress"])

    def facts(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"total": self.total, "planned": self.planned, "progress": self.progress}

    def factor(self, _step: int) -> float:
        """Return the factor on the peak learning rate of the next step."""
        return learning_rate_factor(self.config, max(1, self.total))(self.progress * max(1, self.total))

    def begin(self, step: int, seconds: float) -> None:
        """Plan before the first step of this process, which is taken after `step` others and `seconds` of training."""
        self._validated = seconds
        self._marks.append((step, seconds))
        self._settle(step, seconds)

    def after(self, step: int, seconds: float) -> None:
        """Record a step, and plan again.

        Args:
            step: Steps taken.
            seconds: Time of training so far, without validations.
        """
        self.progress += (1.0 - self.progress) / max(1, self.total - step + 1)
        self._marks.append((step, seconds))
        self._settle(step, seconds)
        if len(self._marks) == _RECENT + 2 and self.planned is None:
            self.planned = self.total

    def validated(self, validation_seconds: float, seconds: float) -> None:
        """Record the time of a validation, and the training time so far."""
        self._validation = validation_seconds + self._write
        self._validated = seconds

    def _settle(self, step: int, seconds: float) -> None:
        self.total, self.validate = self._team.from_main(lambda: self._fitting(step, seconds))

    def _fitting(self, step: int, seconds: float) -> tuple[int, bool]:
        """Return the total number of steps, and whether there is time for a validation now."""
        step_seconds, rise = self._seconds_per_step()
        left = self._seconds_left(rise) - self._validation  # the last one
        fit = min(self.most - step, int(max(0.0, left) / step_seconds))
        if (step + fit - 1) // self._every > step // self._every:  # some are in between
            fit = min(self.most - step, int(left * (1 - VALIDATION_SHARE) / step_seconds))
        since = seconds - self._validated
        worth = since * VALIDATION_SHARE >= self._validation * (1 - VALIDATION_SHARE) and left > 4 * self._validation
        return step + fit, worth

    def _seconds_per_step(self) -> tuple[float, float]:
        """Return the seconds of a step, and by how much steps have become slower since training began."""
        marks = self._marks[1:]  # the first step of a process also warms up
        if len(marks) < 2:
            return max(self._guess, 1e-9), 1.0
        recent = _seconds_of_step(marks[-1 - max(_RECENT, len(marks) // 4) :])
        if len(marks) <= 4 * _RECENT:
            return recent, 1.0
        return recent, min(_RISE, max(1.0, recent / _seconds_of_step(marks[: 2 * _RECENT])))


def _seconds_of_step(marks: Sequence[tuple[int, float]]) -> float:
    (first, start), (last, end) = marks[0], marks[-1]
    return max((end - start) / (last - first), 1e-9)
