"""The learning-rate range test: raise the learning rate step by step until the loss diverges.

Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3. The exponential rise, the
smoothing, the end at four times the lowest loss, and both candidates of the suggestion (a tenth of the
rate of the lowest loss, and the rate at which the loss falls fastest) are those of Howard and Gugger 2020, "fastai: A
Layered API for Deep Learning".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.config.settings import TrainingConfig
from toolkit.training.acceleration.autotune import ComputeSettings
from toolkit.training.loop.arguments import Callbacks, StepControl, TrainingData
from toolkit.training.loop.train import train
from toolkit.training.loss.objective import OWN, Objective

SMOOTHING = 0.9  # weight of the past in the moving average of the loss
BURST = 4.0  # times the lowest smoothed loss
SAFETY = 10.0  # the rate of the lowest loss is divided by this


@dataclass(frozen=True)
class RangeTest:
    """The result of the test.

    Attributes:
        learning_rates: Of each step, rising.
        losses: Training loss of each step.
        smoothed: Moving average of the losses.
        burst: Whether the loss diverged before the last step.
        suggestion: Suggested peak learning rate, or None where the loss never decreased.
        clear: Whether the loss decreased and increased again by more than its noise; if not, the range ends too low,
            begins too high, or the steps are too few.
    """

    learning_rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    burst: bool
    suggestion: float | None
    clear: bool


@dataclass(frozen=True)
class Sweep:
    """Learning rates that rise.

    Attributes:
        lowest: Rate of the first step.
        highest: Rate of the last step.
        steps: Optimizer steps, at least 2.
    """

    lowest: float
    highest: float
    steps: int


class _Burst(Exception):  # it ends the loop and is not a failure
    """The loss diverged."""


def range_test(
    model: Any,
    data: TrainingData,
    config: TrainingConfig,
    accelerator: Any,
    *,
    sweep: Sweep,
    objective: Objective = OWN,
    observe: Callable[[int, int], None] = lambda _done, _total: None,
    say: Callable[[str], None] = lambda _text: None,
    compute: ComputeSettings | None = None,
) -> RangeTest:
    """Train for some steps at rates that rise exponentially; the model is not usable afterwards.

    Args:
        model: As for `train`.
        data: The training examples.
        config: The training settings; its learning rate and schedule are not used.
        accelerator: An `accelerate.Accelerator`.
        sweep: The rates, and the number of steps.
        objective: What is minimised.
        observe: Called with (steps taken, steps in all).
        say: Called with notes for the user.
        compute: How steps are computed.
    """
    lowest, highest, steps = sweep.lowest, sweep.highest, sweep.steps
    steps_per_epoch = math.ceil(len(data.features) / config.batch_size)
    changes = {
        "epochs": (steps - 0.5) / steps_per_epoch,
        "learning_rate": highest,
        "evaluate_every": steps,
        "early_stopping_patience": None,
        "ema_decay": None,
        "best_metric": "loss",
    }
    rates = [highest * (lowest / highest) ** (1 - step / (steps - 1)) for step in range(steps)]
    losses: list[float] = []
    burst = False

    def note(step: int, loss: Any) -> None:
        losses.append(float(loss))
        observe(step, steps)
        smoothed = smooth(losses)
        if not math.isfinite(smoothed[-1]) or smoothed[-1] > BURST * min(smoothed):
            raise _Burst

    try:
        train(
            model,
            data,
            config.model_copy(update=changes),
            accelerator,
            objective=objective,
            callbacks=Callbacks(say=say, after_step=note),
            control=StepControl(factor=lambda step: rates[step] / highest),
            compute=compute,
        )
    except _Burst:
        burst = True
    finite = [loss for loss in losses if math.isfinite(loss)]
    rates, smoothed = rates[: len(finite)], smooth(finite)
    return RangeTest(rates, finite, smoothed, burst, suggest(rates, smoothed), burst or is_valley(finite, smoothed))


def smooth(losses: Sequence[float]) -> list[float]:
    """Return the moving average of `losses`, corrected for its start. Both of length N."""
    averages, total, weight = [], 0.0, 0.0
    for loss in losses:
        total = SMOOTHING * total + (1 - SMOOTHING) * loss
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        averages.append(total / weight)
    return averages


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """Return the smaller of a tenth of the rate of the lowest loss and the rate of its steepest fall, in three digits.

    The lowest loss alone misleads where a few passes suffice to learn everything: it stays low at any rate then.

    Args:
        rates: Of each step, rising. Length N.
        smoothed: Moving average of the losses. Length N.

    Returns:
        None where the loss never decreased.
    """
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__, default=0)
    if lowest == 0:
        return None
    settled = range(min(len(smoothed) // 10, lowest - 1) + 1, lowest + 1)  # the first averages cover few losses
    steepest = min(settled, key=lambda step: smoothed[step] - smoothed[step - 1])
    return float(f"{min(rates[lowest] / SAFETY, rates[steepest]):.3g}")


def is_valley(losses: Sequence[float], smoothed: Sequence[float]) -> bool:
    """Whether the loss decreased by more than its noise, and increased again by at least half of that.

    Args:
        losses: Of each step. Length N.
        smoothed: Their moving average. Length N.
    """
    lowest = min(smoothed)
    start = losses[: max(1, len(losses) // 10)]
    fall = sum(start) / len(start) - lowest
    scatter = math.sqrt(sum((loss - mean) ** 2 for loss, mean in zip(losses, smoothed, strict=True)) / len(losses))
    return fall > scatter and smoothed[-1] - lowest > fall / 2
