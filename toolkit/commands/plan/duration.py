"""The time of a whole command on this machine: what was measured of each part, times how often it happens."""

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import models
from toolkit.commands.finetune.prepare import Prepared, steps_of
from toolkit.commands.finetune.training.setup import TrainingSetup
from toolkit.commands.finetune.training.validation import SAMPLE
from toolkit.commands.time_budget import allocation, timing
from toolkit.commands.time_budget.allocation import Sizes
from toolkit.data.load import Splits
from toolkit.evaluation import baselines
from toolkit.evaluation.checks import repeated_rows
from toolkit.inference.model import LoadedModel
from toolkit.training.loop import checkpoint

MEASURING = 3.0  # seconds that predicting may take, about
FEW = 1000  # rows on which baselines are timed
UNLIMITED = 1e12  # seconds: nothing is left out

now: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Clock:
    """Measured seconds before the steps.

    Attributes:
        start: To the end of reading the data.
        loading: Of the model and its inputs.
        probe: Of the linear probe on few rows.
    """

    start: float
    loading: float
    probe: float


@dataclass(frozen=True)
class Seconds:
    """The time of a command by part, in seconds.

    Attributes:
        start: Libraries, configuration and data.
        preparation: Loading the model, model inputs of all rows, the linear probe.
        training: Optimizer steps.
        validation: Validations, and writing weights and states.
        comparison: Baselines, and the search for repeated rows.
        evaluation: Predictions of the held-out rows and the report.
        steps: Number of optimizer steps.
        passes: How often each row goes through the whole model; 0 where features are stored and the head is trained.
        rows: Number of training rows.
        validated: Number of rows that validations predict.
    """

    start: float
    preparation: float
    training: float
    validation: float
    comparison: float
    evaluation: float
    steps: int
    passes: float
    rows: int
    validated: int

    @property
    def parts(self) -> dict[str, float]:
        """Name of a part → seconds."""
        names = ("start", "preparation", "training", "validation", "comparison", "evaluation")
        return {name: getattr(self, name) for name in names}

    @property
    def total(self) -> float:
        """The whole command."""
        return sum(self.parts.values())


def estimate(prepared: Prepared, setup: TrainingSetup, clock: Clock, step: float, *, head_alone: bool) -> Seconds:
    """Estimate the time of a command.

    Args:
        prepared: The run.
        setup: Its model and inputs.
        clock: What was measured so far.
        step: Seconds of an optimizer step.
        head_alone: Whether the head is trained on stored features.
    """
    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    subject = LoadedModel(setup.model.eval(), setup.processor, recipe, splits.labels, config)
    timings = timing.of_loaded(subject, splits.train, clock.loading, MEASURING)
    timings = replace(timings, load=max(0.0, clock.loading - timings.encode * len(setup.features[0])))
    rows = Sizes(splits.train_rows, splits.validation.num_rows, splits.test.num_rows)
    plan = allocation.unlimited_plan(recipe, config, splits)
    slow = allocation.slowness(clock.start)
    whole = allocation.allocate(UNLIMITED, rows, timings, slow, baselines=config.evaluation.baselines, **plan)
    steps = steps_of(config, rows.train)
    every = config.training.evaluate_every or max(1, math.ceil(rows.train / config.training.batch_size))
    validations = math.ceil(steps / every)
    each = rows.validation + min(rows.validation, rows.train, SAMPLE)
    forward = 0.0 if head_alone else timings.forward
    validation = each * forward + plan["answers"] * timings.write + _writing(setup)
    comparison = _comparison(prepared)
    if recipe.target.tried_before and not prepared.completed and not config.loading.from_scratch:
        comparison += rows.test * (timings.forward + timings.write)
    return Seconds(
        start=clock.start,
        preparation=whole.before,
        training=steps * step,
        validation=validations * validation,
        comparison=comparison,
        evaluation=whole.after / allocation.SAFETY,
        steps=steps,
        passes=0.0 if head_alone else config.training.epochs,
        rows=rows.train,
        validated=(validations + 1) * each,
    )


def _writing(setup: TrainingSetup) -> float:
    """Return the seconds of writing the best weights and a state of training."""
    moving = {name: p.detach() for name, p in setup.model.named_parameters() if p.requires_grad}
    whole = {name: p.detach() for name, p in setup.model.named_parameters()}
    moments = {f"{name}.{moment}": tensor.clone() for name, tensor in moving.items() for moment in ("first", "second")}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        models.save(setup.model, setup.processor, checkpoint.best_path(Path(folder), 0))
        checkpoint.write(Path(folder), 0, checkpoint.Tensors(whole, moments), {"best_step": 0})
        return time.perf_counter() - start


def _comparison(prepared: Prepared) -> float:
    """Return the seconds of the baselines and of the search for repeated rows, from those on few rows."""
    recipe, splits = prepared.recipe, prepared.splits
    few = replace(splits, train=splits.train.slice(0, FEW), test=splits.test.slice(0, FEW))
    names = list(recipe.baselines or {}) if prepared.config.evaluation.baselines else []
    made: list[Callable[[Splits], Any]] = [
        partial(baselines.predict, name, recipe, options=prepared.config.options) for name in names
    ]
    made.append(lambda part: repeated_rows.find(recipe, part.train, part.test, part.labels))
    start = time.perf_counter()
    for compute in made:
        compute(few)
    ratio = (splits.train_rows + splits.test.num_rows) / max(1, few.train.num_rows + few.test.num_rows)
    return (time.perf_counter() - start) * ratio
