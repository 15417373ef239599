"""Arguments of the training loop: examples, the choice of weights, callbacks, and the control of steps."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, Integers, plan_epoch
from toolkit.data.streaming.training_stream import TrainingStream
from toolkit.training.loop import checkpoint
from toolkit.training.loop.progress import Progress, Validation
from toolkit.training.loop.step_plan import StepPlan

WriteState = Callable[[int, checkpoint.Tensors, Mapping[str, Any], Sequence[Mapping[str, Any]]], None]
Validate = Callable[[Any], Mapping[str, float]]

Collate = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class StreamedSteps:
    """Training rows that are read while training runs.

    Attributes:
        rows: The rows.
        encode: Rows in the recipe's roles → model inputs.
    """

    rows: TrainingStream
    encode: Callable[[pa.Table], Features]


@dataclass(frozen=True)
class TrainingData:
    """The training examples and how they become batches.

    Attributes:
        features: The examples.
        collate: Stacks examples into a batch of tensors.
        stream: What is trained on where it is read while training runs; `features` is then a sample of it.
        augment: Changes a batch at random, on the device and in training alone. Labels that it turns into shares of
            each class (B, C) are the objective's and do not reach the model.
        chosen: Row numbers of each step, once, in place of the epochs; for measurements.
    """

    features: Features
    collate: Collate
    augment: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    stream: StreamedSteps | None = None
    chosen: Sequence[Integers] | None = None

    def steps_per_epoch(self, config: TrainingConfig) -> int:
        """Return the optimizer steps of a pass over the examples."""
        if self.chosen is not None:
            return len(self.chosen)
        if self.stream is not None:
            return self.stream.rows.steps_per_epoch(config.batch_size, config.seed)
        return math.ceil(len(self.features) / config.batch_size)

    def steps(self, config: TrainingConfig, taken: int, total: int) -> Iterator[tuple[Features, Integers]]:
        """Yield each optimizer step after the first `taken`, as examples and the numbers of its rows."""
        if self.chosen is not None:
            yield from ((self.features, rows) for rows in self.chosen[taken:total])
            return
        if self.stream is not None:
            yield from self.stream.rows.steps(self.stream.encode, config.batch_size, config.seed, taken, total)
            return
        each = self.steps_per_epoch(config)
        while taken < total:
            epoch, offset = divmod(taken, each)
            plan = plan_epoch(self.features.lengths, config.batch_size, seed=config.seed, epoch=epoch)
            yield from ((self.features, rows) for rows in plan[offset : offset + total - taken])
            taken = (epoch + 1) * each


@dataclass(frozen=True)
class Selection:
    """How the weights that are kept are chosen.

    Attributes:
        validate: Model → figures; they hold "loss" and `training.best_metric`.
        save: Keeps the model's weights of a step as the best so far; called in the main process alone.
        higher_is_better: Direction in which `training.best_metric` improves.
        tolerance: Best validation figure so far → by how much weights of a later step may be worse and still be kept.
        validate_first: Whether the model is validated before the first step.
        keep_start: Whether the model as it comes may be the best; else its weights are kept only until the next
            validation, as those of a head or a model with random weights.
        early: Validates on some of the validation rows: a first figure for the user after a tenth of the steps, where
            no validation comes before. It changes nothing.
    """

    validate: Validate = lambda _model: {"loss": 0.0}
    save: Callable[[Any, int], None] = lambda _model, _step: None
    higher_is_better: bool = False
    tolerance: Callable[[float], float] = lambda _best: 0.0
    validate_first: bool = False
    keep_start: bool = True
    early: Validate | None = None


@dataclass(frozen=True)
class Callbacks:
    """The callbacks of the loop.

    Attributes:
        observe: Called with progress and each validation.
        say: Called with notes for the user.
        after_step: Called after each optimizer step with its number and its loss, a tensor on the device; an exception
            ends training.
        stop_requested: Whether to write the state and stop.
        write_state: Writes (step, weights and moments, facts, each process's random state) where `checkpoint.newest`
            finds it; called in the main process alone.
    """

    observe: Callable[[Progress | Validation], None] = lambda _event: None
    say: Callable[[str], None] = lambda _text: None
    after_step: Callable[[int, Any], None] = lambda _step, _loss: None
    stop_requested: Callable[[], bool] = lambda: False
    write_state: WriteState | None = None


@dataclass(frozen=True)
class StepControl:
    """Where the steps begin, how many there are, and at which rates.

    Attributes:
        state: Where to resume.
        factor: Optimizer steps taken → factor on the peak learning rate; the schedule's when None.
        limit: (steps without a limit, steps between validations) → the plan that fits into a limited time; no limit
            when None.
    """

    state: checkpoint.State | None = None
    factor: Callable[[int], float] | None = None
    limit: Callable[[int, int], StepPlan] | None = None
