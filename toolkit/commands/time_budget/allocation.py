"""Divide a time budget: the time needed before and after training, and the rest for training."""

import math
from dataclasses import dataclass
from typing import TypedDict

from toolkit.commands.time_budget.timing import Timings
from toolkit.config import RunConfig
from toolkit.data.load import Splits
from toolkit.tasks.contract import Recipe
from toolkit.training.adaptation import linear_probe

SAFETY = 1.25  # factor on the estimated time of what comes after training
EVALUATION = 0.4  # share of the remaining time for the evaluation; beyond it fewer test rows are used
VALIDATION = 0.04  # the same of one validation
PROBE = 0.1  # the same of the linear probe
PROBE_ON_TEST = 0.04  # the same of its predictions of the test rows
ENCODING = 0.1  # the same of making model inputs
FROZEN = 0.5  # the same with a frozen backbone, whose output is computed once for each row
BASELINES = 0.05  # the same of each baseline, and of the search for repeated rows
FEWEST = 100  # rows that are evaluated, validated on and probed at least, where there are as many
ANSWERS = 10  # minimum number of texts that a validation generates
_PROBE_START = 1.5  # seconds of importing scikit-learn and fitting, on a machine that starts in `START`
_REPORT = 2.5  # seconds of figures, files and the end of the process, on such a machine
_REPORT_ROW = 0.001  # seconds of the intervals of a test row, on such a machine
START = 5.0  # seconds to the end of loading libraries, model and data on two idle cores of a server
SLOWEST = 6.0  # a start longer than this times `START` is attributed to downloads and much data


class UnlimitedPlan(TypedDict):
    """The plan of a run without a time budget: see `allocate`."""

    probe_rows: int
    answers: int
    frozen: bool


@dataclass(frozen=True)
class Sizes:
    """Rows of a run.

    Attributes:
        train: To learn from.
        validation: To choose the best weights by.
        test: To evaluate on.
    """

    train: int
    validation: int
    test: int


@dataclass(frozen=True)
class Allocation:
    """The division of a time budget.

    Attributes:
        rows: Rows that are used.
        probe_rows: Rows that the linear probe learns from at most.
        probe_test: Whether the linear probe predicts the test rows.
        answers: Maximum number of rows for which a validation generates texts.
        before: Seconds from here to the first step, about.
        validation: Seconds of a validation, about.
        after: Seconds kept for what comes after training.
        training: Seconds for training and validations; negative where the budget is too small.
    """

    rows: Sizes
    probe_rows: int
    probe_test: bool
    answers: int
    before: float
    validation: float
    after: float
    training: float


def slowness(start: float) -> float:
    """Return how many times slower than `START` a command began, to estimate the time for the report."""
    return min(SLOWEST, max(1.0, start / START))


def after_training(timings: Timings, slow: float, test: int, validation: int) -> float:
    """Return the seconds to be kept for evaluation, calibration, report and the end of the process.

    Args:
        timings: Cost of the model.
        slow: From `slowness`.
        test: Test rows.
        validation: Validation rows.
    """
    per_row = timings.forward + timings.write + timings.encode + _REPORT_ROW * slow
    calibration = 0.0 if timings.write else validation * (timings.forward + timings.encode)
    return SAFETY * (_REPORT * slow + timings.load + test * per_row + calibration)


def test_rows(seconds: float, timings: Timings, slow: float, test: int, validation: int) -> int:
    """Return how many of the test rows can be evaluated in so many seconds; `FEWEST` at least."""
    fixed, one_more = (after_training(timings, slow, rows, validation) for rows in (0, 1))
    return max(min(FEWEST, test), min(test, int((seconds - fixed) / (one_more - fixed))))


def allocate(
    left: float,
    rows: Sizes,
    timings: Timings,
    slow: float,
    *,
    probe_rows: int,
    answers: int,
    baselines: bool,
    frozen: bool = False,
) -> Allocation:
    """Divide the time that is left.

    Args:
        left: Seconds.
        rows: Available rows.
        timings: Cost of the model.
        slow: From `slowness`.
        probe_rows: Rows that the linear probe would learn from; 0 where there is none.
        answers: Rows for which a validation would generate texts.
        baselines: Whether the probe's predictions of the test rows are wanted.
        frozen: Whether the output of a frozen backbone is computed once, for all training rows.
    """
    share = max(0.0, left)
    validation = _within(VALIDATION * share, 2 * timings.forward, rows.validation)  # the same number of train rows
    written = min(answers, max(ANSWERS, int(VALIDATION * share / timings.write))) if timings.write else 0
    each = timings.encode + (timings.forward if frozen else 0.0)
    train = _within((FROZEN if frozen else ENCODING) * share, each, rows.train)
    test = test_rows(EVALUATION * share, timings, slow, rows.test, validation)
    seconds_of_validation = 2 * validation * timings.forward + written * timings.write
    used = Sizes(train, validation, test)
    probed = min(train, _within(PROBE * share, timings.forward, probe_rows)) if probe_rows else 0
    on_test = bool(probed) and baselines and test * timings.forward <= PROBE_ON_TEST * share
    before = timings.load + (train + validation) * each + seconds_of_validation
    if probed:
        before += _PROBE_START * slow + (probed + validation + (test if on_test else 0)) * timings.forward
    after = after_training(timings, slow, test, validation)
    return Allocation(
        used, probed, on_test, written, before, seconds_of_validation, after, training=left - before - after
    )


def needed(rows: Sizes, timings: Timings, slow: float, *, probe_rows: int, answers: int, frozen: bool = False) -> float:
    """Return the seconds of the shortest remaining run: the probe, no steps, few rows, the report."""
    plan = UnlimitedPlan(probe_rows=probe_rows, answers=answers, frozen=frozen)
    least = allocate(0.0, rows, timings, slow, baselines=False, **plan)
    return math.ceil(least.before + least.after)


def unlimited_plan(recipe: Recipe, config: RunConfig, splits: Splits) -> UnlimitedPlan:
    """Return the plan of a run without a time budget."""
    writes = recipe.generate is not None
    probes = config.training.linear_probe and not config.loading.from_scratch and recipe.task.takes_linear_probe
    rows = linear_probe.rows_for(len(splits.labels)) if probes and not writes else 0
    answers = min(config.training.validation_answers, splits.validation.num_rows) if writes else 0
    return UnlimitedPlan(
        probe_rows=min(rows, splits.train.num_rows), answers=answers, frozen=config.training.freeze == "trunk"
    )


def _within(seconds: float, each: float, rows: int) -> int:
    """Return how many rows fit into some seconds; `FEWEST` at least, where there are as many."""
    return min(rows, max(FEWEST, int(seconds / max(each, 1e-9))))
