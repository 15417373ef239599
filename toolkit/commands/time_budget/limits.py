"""A run within a time budget: its measurements, the reductions that make it fit, and its facts in the report."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from toolkit import runs
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.time_budget import allocation, timing
from toolkit.commands.time_budget.allocation import Allocation, Sizes
from toolkit.commands.time_budget.timing import Timings
from toolkit.config import time_budget
from toolkit.config.settings import TrainingConfig
from toolkit.data.load import Splits
from toolkit.distributed.process_group import Team
from toolkit.errors import ConfigError
from toolkit.events import Note, Observe, Stage
from toolkit.inference.model import StoredModel
from toolkit.training.loop.step_plan import StepPlan
from toolkit.training.loop.train import TrainingResult

MEASURING = 0.04  # share of the budget that predicting rows takes for the measurement, about
LONGEST = 3.0  # seconds that it takes at most
TOLERANCE = 0.05  # share of the budget by which a slow machine may exceed it before fewer test rows are evaluated
_SAMPLE = 1000  # rows on which baselines are timed
_WRITTEN = 12 / 3e8  # seconds for each parameter that writing a state takes: weights and two moments


@dataclass(frozen=True)
class Limits:
    """The limits that a time budget sets for this run.

    Attributes:
        clock: The command's.
        timings: Cost of the model on this machine.
        slow: How many times slower than on an idle machine the command started.
        start: Seconds from the start of the process until the allocation was made.
        at_hand: Available rows.
        allocation: The division of the time.
    """

    clock: time_budget.Clock
    timings: Timings
    slow: float
    start: float
    at_hand: Sizes
    allocation: Allocation

    def fewer(self, used: Sizes) -> list[str]:
        """Return the parts of the data of which not all rows are used."""
        names = ("train", "validation", "test")
        return [name for name in names if getattr(used, name) < getattr(self.at_hand, name)]

    def evaluated(self, facts: Mapping[str, Any], test: int) -> dict[str, Any]:
        """Return the facts with the number of test rows that were evaluated."""
        used = replace(self.allocation.rows, test=test)
        return {**facts, "test_rows": test, "fewer_rows": self.fewer(used)}

    @property
    def suffices_for_answers(self) -> bool:
        """Whether the answers of the model before fine-tuning take a small share of the time."""
        return self.timings.write * self.allocation.rows.test <= allocation.BASELINES * max(0.0, self.clock.left)

    def seconds_for_training(self, rise: float = 1.0) -> float:
        """Return the seconds that are left for training when what follows takes `rise` times as long as measured."""
        return self.clock.left - rise * self.allocation.after

    def steps(self, batch_size: int) -> int:
        """Return how many optimizer steps fit, about."""
        return max(0, int(self.allocation.training / self.timings.step(batch_size)))

    def step_plan(self, config: TrainingConfig, team: Team) -> Callable[[int, int], StepPlan]:
        """Return the callback by which `train` limits the number of its steps."""

        def fitting(most: int, every: int) -> StepPlan:
            return StepPlan(
                config,
                most,
                every,
                self.seconds_for_training,
                self.timings.step(config.batch_size) / team.size,
                self.allocation.validation / team.size,
                _WRITTEN * self.timings.parameters,
                team,
            )

        return fitting

    def facts(self, result: TrainingResult) -> dict[str, Any]:
        """Return the report's facts of the budget."""
        used = self.allocation.rows
        return {
            "seconds": self.clock.seconds,
            "before_training": round(self.start + self.allocation.before, 2),
            "kept_for_evaluation": round(self.allocation.after, 2),
            "train_rows": used.train,
            "validation_rows": used.validation,
            "test_rows": used.test,  # until `evaluated` knows
            "probe_rows": self.allocation.probe_rows,
            "steps_planned": result.planned_steps,
            "steps_without_limit": result.unlimited_steps,
        }


def limit(prepared: Prepared, started: float | None, observe: Observe, team: Team) -> Limits | None:
    """Measure the model and divide the budget; None for a run without one.

    Args:
        prepared: From `prepare`.
        started: Start of the command by `time.monotonic`; now when None.
        observe: Called with each event.
        team: The processes that share the work; the main one measures.

    Raises:
        ConfigError: The budget is too small for the shortest run.
    """
    seconds = prepared.config.training.budget
    if seconds is None:
        return None
    clock = time_budget.Clock(time.monotonic() if started is None else started, seconds)
    check(seconds, team.from_main(lambda: clock.spent))
    observe(Stage("Measuring the cost of training and evaluation"))
    limits = team.from_main(lambda: _measured(prepared, clock))
    plan = _unlimited_plan(prepared)
    first = "linear probe" if plan["probe_rows"] else "validation"
    least = allocation.needed(limits.at_hand, limits.timings, limits.slow, **plan)
    if limits.start + least > seconds:
        enough = time_budget.written(1.2 * (limits.start + least))
        raise ConfigError(
            f"A budget of {time_budget.written(seconds)} is too small: {limits.start:.0f} s have passed, and loading "
            f"the model, a {first} and a report on few rows take about {least:.0f} s more.",
            f"Give --budget {enough} or more, a smaller model, or fewer rows.",
            id="config.budget-too-small",
        )
    observe(Note(_sentence(limits, first)))
    checks = prepared.config.evaluation.checks
    if checks:
        observe(Note(f"A time budget skips the checks {', '.join(checks)}; run them with `toolkit evaluate`."))
    return limits


def check(seconds: float, spent: float) -> None:
    """Refuse a budget that is used up before the first measurement.

    Args:
        seconds: The budget.
        spent: Seconds since the command began.

    Raises:
        ConfigError: With a budget that may suffice.
    """
    if spent >= seconds:
        raise ConfigError(
            f"A budget of {time_budget.written(seconds)} is too small: loading libraries and data alone took longer.",
            f"Give --budget {time_budget.written(3 * spent)} or more.",
            id="config.budget-too-small",
        )


def _measured(prepared: Prepared, clock: time_budget.Clock) -> Limits:
    config, recipe, splits = prepared.config, prepared.recipe, prepared.splits
    slow = allocation.slowness(clock.spent)
    most = min(LONGEST, MEASURING * clock.seconds)
    timings, _ = timing.measure(prepared.checkpoint.path, recipe, splits, config, most)
    at_hand = Sizes(splits.train.num_rows, splits.validation.num_rows, splits.test.num_rows)
    start = clock.spent
    allocated = allocation.allocate(
        clock.seconds - start,
        at_hand,
        timings,
        slow,
        baselines=config.evaluation.baselines,
        **_unlimited_plan(prepared),
    )
    return Limits(clock, timings, slow, start, at_hand, allocated)


def _unlimited_plan(prepared: Prepared) -> allocation.UnlimitedPlan:
    return allocation.unlimited_plan(prepared.recipe, prepared.config, prepared.splits)


def _sentence(limits: Limits, first: str) -> str:
    """Describe the division of the budget, which rows are left out, and what comes `first`, before any step."""
    allocated, seconds = limits.allocation, limits.clock.seconds
    training = max(0.0, allocated.training)
    parts = [
        f"Of {time_budget.written(seconds)}, {limits.start:.0f} s have passed, "
        f"about {training:.0f} s remain for training, and {allocated.after:.0f} s are kept for evaluation and report."
    ]
    fewer = [
        f"{getattr(allocated.rows, name):,} of {getattr(limits.at_hand, name):,} {name} rows"
        for name in limits.fewer(allocated.rows)
    ]
    if fewer:
        parts.append(f"To fit the budget, only {', '.join(fewer)} are used.")
    if training <= 0:
        parts.append(f"The budget allows the {first} only, without an optimizer step.")
    return " ".join(parts)


def kept_rows(run: runs.Run, limits: Limits, *, resumed: bool) -> Limits:
    """Keep in the run which rows it learns from and is validated on; take those of the run that is resumed."""
    rows = limits.allocation.rows
    known = run.facts.get("budget_rows")
    if resumed and isinstance(known, Mapping) and all(isinstance(known.get(n), int) for n in ("train", "validation")):
        at_hand = limits.at_hand
        train, validation = min(known["train"], at_hand.train), min(known["validation"], at_hand.validation)
        rows = replace(rows, train=max(1, train), validation=max(1, validation))
    run.record(budget_rows={"train": rows.train, "validation": rows.validation})
    return replace(limits, allocation=replace(limits.allocation, rows=rows))


def reduced(prepared: Prepared, limits: Limits | None) -> Prepared:
    """Return the run with the rows of train and validation that the budget suffices for, drawn from the seed.

    The number of evaluated test rows is determined after training: see `rows_to_evaluate`.
    """
    if limits is None:
        return prepared
    splits, rows, seed = prepared.splits, limits.allocation.rows, prepared.config.training.seed
    fewer = {
        "train": timing.sample(splits.train, rows.train, seed),
        "validation": timing.sample(splits.validation, rows.validation, seed),
    }
    resolved = prepared.resolved
    if limits.allocation.answers:
        resolved = resolved.with_values("budget", {"training": {"validation_answers": limits.allocation.answers}})
    return replace(prepared, splits=replace(splits, **fewer), resolved=resolved)


def rows_to_evaluate(stored: StoredModel, rows: pa.Table, limits: Limits | None) -> list[int] | None:
    """Return the numbers of the test rows that can be evaluated in the time that training left; None for all.

    The model is timed once more, as the machine may have become slower.

    Args:
        stored: The trained model.
        rows: All test rows.
        limits: The budget's; None for a run without one.
    """
    if limits is None:
        return None
    seed, before = stored.config.training.seed, limits.timings
    timings = timing.timed_again(stored.loaded, timing.sample(rows, allocation.FEWEST, seed), before)
    slow = limits.slow * max(1.0, timings.forward / before.forward)
    late = limits.clock.left + TOLERANCE * limits.clock.seconds
    fit = allocation.test_rows(late, timings, slow, rows.num_rows, limits.allocation.rows.validation)
    return None if fit >= rows.num_rows else timing.chosen(rows.num_rows, fit, seed)


def within(
    compute: Callable[[Splits], Any], splits: Splits, limits: Limits | None, seed: int, *, all_rows: bool = False
) -> Any | None:
    """Compute something on the rows of train and test, or on as many train rows as its share of the time suffices for.

    Args:
        compute: Its time grows with the rows.
        splits: The data.
        limits: The budget's; None takes all rows.
        seed: Draws the rows.
        all_rows: Whether the result is of no use on fewer rows; then it is None where they are too many.
    """
    if limits is None:
        return compute(splits)
    few = replace(splits, train=timing.sample(splits.train, _SAMPLE, seed), test=splits.test.slice(0, _SAMPLE))
    if few.train.num_rows == splits.train.num_rows and few.test.num_rows == splits.test.num_rows:
        return compute(splits)
    start = time.perf_counter()
    compute(few)
    each = (time.perf_counter() - start) / (few.train.num_rows + few.test.num_rows)
    fit = int(allocation.BASELINES * max(0.0, limits.clock.left) / max(each, 1e-9)) - splits.test.num_rows
    if fit >= splits.train.num_rows:
        return compute(splits)
    return None if all_rows or fit < _SAMPLE else compute(replace(splits, train=timing.sample(splits.train, fit, seed)))
