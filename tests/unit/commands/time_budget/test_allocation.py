"""The division of a budget: never more than available, and monotonic in the time."""

import random
from dataclasses import astuple

import pytest

from toolkit.commands.time_budget.allocation import FEWEST, Sizes, after_training, allocate, needed, slowness
from toolkit.commands.time_budget.allocation import test_rows as rows_that_fit
from toolkit.commands.time_budget.timing import Timings

ROWS = Sizes(3600, 400, 1000)
MINILM = Timings(load=0.3, encode=1e-4, forward=0.006, write=0.0, parameters=22_700_000)


def case(seed: int) -> tuple[Sizes, Timings, float, dict]:
    """Rows, costs and wishes of any size."""
    draw = random.Random(seed)
    rows = Sizes(*(int(10 ** draw.uniform(1, 6)) for _ in range(3)))
    writes = draw.random() < 0.3
    timings = Timings(
        load=10 ** draw.uniform(-2, 1.5),
        encode=10 ** draw.uniform(-5, -2),
        forward=10 ** draw.uniform(-4, 0),
        write=10 ** draw.uniform(-2, 1) if writes else 0.0,
        parameters=int(10 ** draw.uniform(6, 9)),
    )
    wishes = {"probe_rows": 0 if writes else min(rows.train, 2000), "answers": min(200, rows.validation) * writes}
    wishes["frozen"] = not writes and draw.random() < 0.3
    return rows, timings, draw.uniform(1, 6), wishes


@pytest.mark.parametrize("seed", range(60))
def test_the_parts_are_the_whole(seed):
    rows, timings, slow, wishes = case(seed)
    for left in (0.0, 5.0, 60.0, 3600.0):
        first = allocate(left, rows, timings, slow, baselines=True, **wishes)
        assert first.before + first.training + first.after == pytest.approx(left)
        assert min(first.before, first.validation, first.after) >= 0


@pytest.mark.parametrize("seed", range(60))
def test_more_time_never_gives_fewer_rows(seed):
    rows, timings, slow, wishes = case(seed)
    before = None
    for left in (0.0, 1.0, 10.0, 30.0, 60.0, 120.0, 600.0, 7200.0, 1e6):
        first = allocate(left, rows, timings, slow, baselines=True, **wishes)
        now = (*astuple(first.rows), first.probe_rows, first.answers)
        assert all(used <= there for used, there in zip(astuple(first.rows), astuple(rows), strict=True))
        assert all(used >= min(FEWEST, there) for used, there in zip(astuple(first.rows), astuple(rows), strict=True))
        assert before is None or all(a <= b for a, b in zip(before, now, strict=True))
        before = now


@pytest.mark.parametrize("seed", range(60))
def test_needed_time_suffices(seed):
    rows, timings, slow, wishes = case(seed)
    least = needed(rows, timings, slow, **wishes)
    smallest = allocate(0.0, rows, timings, slow, baselines=False, **wishes)
    assert smallest.before + smallest.after <= least


def test_most_of_a_long_budget_goes_to_training():
    shares = [
        allocate(t, ROWS, MINILM, 1.0, probe_rows=2000, answers=0, baselines=True).training / t for t in (55, 600)
    ]
    assert shares[0] > 0.4
    assert shares[1] > 0.9


def test_a_long_budget_leaves_nothing_out():
    first = allocate(3600, ROWS, MINILM, 1.0, probe_rows=2000, answers=0, baselines=True)
    assert (first.rows, first.probe_rows, first.probe_test) == (ROWS, 2000, True)


def test_a_slow_machine_keeps_more_for_what_follows():
    quick, slow = (after_training(MINILM, slowness(start), 1000, 400) for start in (4.0, 12.0))
    assert slow > quick
    assert slowness(1000.0) == slowness(10_000.0)


def test_the_rows_that_are_evaluated_fit():
    for seconds in (10, 20, 40):
        rows = rows_that_fit(seconds, MINILM, 1.0, 10_000, 400)
        assert after_training(MINILM, 1.0, rows, 400) <= seconds
        assert after_training(MINILM, 1.0, rows + 2, 400) > seconds
