"""Prefetching changes when batches are made, and nothing else."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.training.loop.prefetch import Prefetched


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "toolkit-input"]


@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_order_and_contents_are_those_of_a_plain_loop(items, depth):
    with Prefetched(items, lambda item: item * 2, depth=depth) as batches:
        assert list(batches) == [(item, item * 2) for item in items]
    assert not threads()


def test_items_are_prepared_ahead_but_not_without_bound():
    made, enough = [], threading.Event()

    def prepare(item):
        made.append(item)
        if len(made) == 3:
            enough.set()
        return item

    with Prefetched(range(1000), prepare, depth=2) as batches:
        assert next(iter(batches)) == (0, 0)
        assert enough.wait(10)
        time.sleep(0.05)
        assert len(made) <= 4  # one is taken, two wait in the queue, and one for room


def test_an_error_comes_at_its_place():
    def prepare(item):
        if item == 3:
            raise ValueError("row 3 is broken")
        return item

    taken = []
    with pytest.raises(ValueError, match="row 3"), Prefetched(range(9), prepare) as batches:
        for item, _ in batches:
            taken.append(item)
    assert taken == [0, 1, 2]
    assert not threads()


def test_an_error_of_the_plan_itself_comes_through():
    def plan():
        yield 1
        raise RuntimeError("no plan")

    with pytest.raises(RuntimeError, match="no plan"), Prefetched(plan(), lambda item: item) as batches:
        list(batches)


def test_leaving_early_ends_the_thread():
    with pytest.raises(KeyError), Prefetched(iter(int, 1), lambda item: item) as batches:
        next(iter(batches))
        raise KeyError
    assert not threads()


def test_stall_is_reported_and_counted():
    ready, output = threading.Event(), []

    def prepare(item):
        if item == 1:
            ready.wait(10)
        return item

    def say(text):
        output.append(text)
        ready.set()

    with Prefetched(range(3), prepare, stall_seconds=0.05, say=say) as batches:
        waits = [(item, batches.waited) for item, _ in batches]
    assert [item for item, _ in waits] == [0, 1, 2]
    assert waits[1][1] >= 0.05
    assert output[0].startswith("Input is stalled: batch 2 is not ready after")


def test_cpu_items_are_prepared_on_request():
    made, output = [], []
    with Prefetched(range(3), made.append, ahead=False, stall_seconds=0.0, say=output.append) as batches:
        for item, _ in batches:
            assert made == list(range(item + 1))
            assert batches.waited > 0
            assert not threads()
    assert output[0].startswith("Input was stalled: batch 1 took")
