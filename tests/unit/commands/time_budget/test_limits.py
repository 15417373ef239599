"""A run within a budget: which rows it uses, and what it refuses."""

import time
from types import SimpleNamespace

import pyarrow as pa

from tests.support import checkpoints
from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.finetune.prepare import Prepared, configure, prepare
from toolkit.commands.time_budget import allocation, timing
from toolkit.commands.time_budget import limits as time_budget_limits
from toolkit.commands.time_budget.allocation import Sizes
from toolkit.commands.time_budget.limits import Limits
from toolkit.commands.time_budget.timing import Timings
from toolkit.config.time_budget import Clock
from toolkit.data.load import Splits
from toolkit.distributed.process_group import ALONE
from toolkit.errors import ConfigError

TIMINGS = Timings(load=0.2, encode=1e-4, forward=0.01, write=0.0, parameters=1_000_000)


def table(rows: int) -> pa.Table:
    return pa.table({"text": [f"text {row}" for row in range(rows)], "label": [row % 2 for row in range(rows)]})


def splits(train: int = 3000, validation: int = 400, test: int = 2000) -> Splits:
    return Splits(table(train), table(validation), table(test), ("a", "b"), {})


def limits(seconds: float, data: Splits, spent: float = 5.0) -> Limits:
    at_hand = Sizes(data.train.num_rows, data.validation.num_rows, data.test.num_rows)
    allocated = allocation.allocate(seconds - spent, at_hand, TIMINGS, 1.0, probe_rows=2000, answers=0, baselines=True)
    return Limits(Clock(time.monotonic() - spent, seconds), TIMINGS, 1.0, spent, at_hand, allocated)


def test_rows_that_do_not_fit_are_left_out_alike_each_time():
    data = splits()
    few = limits(30, data)
    prepared = Prepared(None, configured(), None, data, ())
    first, other = (time_budget_limits.reduced(prepared, few).splits for _ in range(2))
    assert first.validation.num_rows == few.allocation.rows.validation < data.validation.num_rows
    assert first.validation.equals(other.validation)
    assert first.test is data.test
    assert time_budget_limits.reduced(prepared, None) is prepared


def configured():
    return configure("sentiment", [("flag", {"model": checkpoints.TINY})])[1]


def test_a_resumed_run_keeps_its_rows(tmp_path):
    data = splits()
    run = runs.Run(tmp_path)
    first = time_budget_limits.kept_rows(run, limits(30, data), resumed=False)
    again = time_budget_limits.kept_rows(run, limits(3600, data), resumed=True)
    assert again.allocation.rows.validation == first.allocation.rows.validation
    anew = time_budget_limits.kept_rows(run, limits(3600, data), resumed=False)
    assert anew.allocation.rows.validation == 400


def test_slow_baselines_use_fewer_rows():
    data = splits()
    seen = []

    def slow(part: Splits) -> int:
        seen.append((part.train.num_rows, part.test.num_rows))
        time.sleep(5e-5 * (part.train.num_rows + part.test.num_rows))
        return part.train.num_rows

    assert time_budget_limits.within(slow, data, None, 7) == 3000
    assert time_budget_limits.within(slow, data, limits(3600, data), 7) == 3000
    assert time_budget_limits.within(slow, data, limits(6, data), 7) is None
    assert time_budget_limits.within(slow, data, limits(6, data), 7, all_rows=True) is None
    small = splits(500, 50, 500)
    assert time_budget_limits.within(slow, small, limits(6, small), 7) == 500
    assert seen[-1] == (500, 500)


def test_as_many_test_rows_are_evaluated_as_there_is_time_for(monkeypatch):
    data = splits()
    stored = SimpleNamespace(config=configured().config, loaded=None)
    monkeypatch.setattr(timing, "timed_again", lambda _subject, _rows, before: before)
    assert time_budget_limits.rows_to_evaluate(stored, data.test, None) is None
    assert time_budget_limits.rows_to_evaluate(stored, data.test, limits(3600, data)) is None
    some = time_budget_limits.rows_to_evaluate(stored, data.test, limits(30, data))
    assert allocation.FEWEST < len(some) < 2000
    assert some == sorted(set(some))
    late = time_budget_limits.rows_to_evaluate(stored, data.test, limits(30, data, spent=29.0))
    assert len(late) == allocation.FEWEST
    slower = Timings(load=0.2, encode=1e-4, forward=0.03, write=0.0, parameters=1_000_000)
    monkeypatch.setattr(timing, "timed_again", lambda _subject, _rows, _before: slower)
    assert len(time_budget_limits.rows_to_evaluate(stored, data.test, limits(30, data))) < len(some)


def test_a_budget_that_cannot_be_kept_is_refused_with_one_that_can(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoints.reviews(tmp_path / "reviews.csv", 60)
    values = {"model": checkpoints.TINY, "data": {"source": "reviews.csv"}, "training": {"budget": "20s"}}
    recipe, resolved = configure("sentiment", [("flag", values)])
    prepared = prepare(recipe, resolved, lambda _event: None)
    with refused(ConfigError, "config.budget-too-small", "20s", "--budget"):
        time_budget_limits.limit(prepared, time.monotonic() - 19, lambda _event: None, ALONE)
    alone = resolved.with_values("flag", {"training": {"linear_probe": False}})
    unprobed = Prepared(recipe, alone, prepared.checkpoint, prepared.splits, ())
    with refused(ConfigError, "config.budget-too-small", "validation") as caught:
        time_budget_limits.limit(unprobed, time.monotonic() - 19, lambda _event: None, ALONE)
    assert "probe" not in caught.value.problem
    roomy = Prepared(
        recipe, resolved.with_values("flag", {"training": {"budget": 3600}}), prepared.checkpoint, prepared.splits, ()
    )
    result = time_budget_limits.limit(roomy, time.monotonic() - 19, lambda _event: None, ALONE)
    assert result.allocation.rows == result.at_hand
    assert result.timings.parameters > 4_000_000
    assert min(result.timings.load, result.timings.encode, result.timings.forward) > 0


def test_a_budget_that_is_spent_at_once_is_refused():
    time_budget_limits.check(60.0, 59.0)
    with refused(ConfigError, "config.budget-too-small", "1s", "--budget 12s"):
        time_budget_limits.check(1.0, 4.0)
