"""The time of a whole command on this machine: what was measured of each part, times how often it happens."""

import math
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from toolkit import models
from toolkit.commands.finetune.prepare import Prepared, steps_of
from toolkit.commands.finetune.training.setup import TrainingSetup
from toolkit.commands.finetune.training.validation import SAMPLE
from toolkit.commands.time_budget import allocation, timing
from toolkit.commands.time_budget.timing import Timings
from toolkit.data.load import Splits
from toolkit.errors import ToolkitError
from toolkit.evaluation import baselines
from toolkit.evaluation.checks import repeated_rows
from toolkit.inference.model import LoadedModel
from toolkit.training.loop import checkpoint

MEASURING = 3.0  # seconds that predicting may take, about
FEW = 1000  # rows on which baselines are timed

now: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Before:
    """What was measured before the steps.

    Attributes:
        start: Seconds to the end of reading the data.
        timings: Cost of the model.
        probe: Seconds of the linear probe without the predictions.
        validates: Whether the first validation comes before the first step.
    """

    start: float
    timings: Timings
    probe: float
    validates: bool


@dataclass(frozen=True)
class Seconds:
    """The time of a command by part, in seconds.

    Attributes:
        start: Libraries, configuration and data.
        preparation: Loading the model, model inputs of all rows, and the linear probe.
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


def timings(prepared: Prepared, setup: TrainingSetup, device: Any, loading: float) -> Timings:
    """Time predictions of the loaded model.

    Args:
        prepared: The run.
        setup: Its model and inputs.
        device: Where it computes.
        loading: Seconds of loading the model and making these inputs.
    """
    model, splits = setup.model.to(device).eval(), prepared.splits
    subject = LoadedModel(model, setup.processor, prepared.recipe, splits.labels, prepared.config)
    found = timing.of_loaded(subject, splits.train, loading, MEASURING)
    return replace(found, load=max(0.0, loading - found.encode * sum(map(len, setup.features))))


def estimate(prepared: Prepared, setup: TrainingSetup, before: Before, step: float, *, head_alone: bool) -> Seconds:
    """Estimate the time of a command.

    Args:
        prepared: The run.
        setup: Its model and inputs.
        before: What was measured so far.
        step: Seconds of an optimizer step.
        head_alone: Whether the head is trained on stored features.
    """
    config, recipe, splits, timed = prepared.config, prepared.recipe, prepared.splits, before.timings
    train, validation, test = splits.train_rows, splits.validation.num_rows, splits.test.num_rows
    plan = allocation.unlimited_plan(recipe, config, splits)
    steps = steps_of(config, train)
    every = config.training.evaluate_every or max(1, math.ceil(train / config.training.batch_size))
    validations = math.ceil(steps / every)
    first = before.validates or (recipe.generate is not None and not config.loading.from_scratch)
    predicted = validation + min(validation, train, SAMPLE)
    each = predicted * (0.0 if head_alone else timed.forward) + plan["answers"] * timed.write
    preparation = timed.load + (train + validation) * (timed.encode + (timed.forward if head_alone else 0.0))
    if plan["probe_rows"]:
        preparation += before.probe + timed.forward * (plan["probe_rows"] + validation + test)
    comparison = _comparison(prepared)
    if recipe.target.tried_before and not prepared.completed and not config.loading.from_scratch:
        comparison += test * (timed.forward + timed.write)
    after = allocation.after_training(timed, allocation.slowness(before.start), test, validation)
    return Seconds(
        start=before.start,
        preparation=preparation,
        training=steps * step,
        validation=(validations + first) * each + validations * _writing(setup),
        comparison=comparison,
        evaluation=after / allocation.SAFETY,
        steps=steps,
        passes=0.0 if head_alone else config.training.epochs,
        rows=train,
        validated=(validations + first) * predicted,
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
    few = replace(
        splits,
        train=timing.sample(splits.train, FEW, prepared.config.training.seed),
        test=splits.test.slice(0, FEW),
    )
    names = list(recipe.baselines or {}) if prepared.config.evaluation.baselines else []
    made: list[Callable[[Splits], Any]] = [
        partial(baselines.predict, name, recipe, options=prepared.config.options) for name in names
    ]
    made.append(lambda part: repeated_rows.find(recipe, part.train, part.test, part.labels))
    start = time.perf_counter()
    for compute in made:
        with suppress(ToolkitError):  # few rows may lack a class
            compute(few)
    ratio = (splits.train_rows + splits.test.num_rows) / max(1, few.train.num_rows + few.test.num_rows)
    return float((time.perf_counter() - start) * ratio)
