"""Callers at the same time: answered together, each with its own, and none harmed by another."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.serve.batcher import Batcher, Overloaded
from toolkit.serve.limits import Limits


def run(
    callers: Callable[[Batcher[Any, Any]], Coroutine[Any, Any, Any]], answer: Callable[..., Any], **limits: Any
) -> Any:
    async def main() -> Any:
        async with Batcher(answer, Limits(**limits)) as batcher:
            return await callers(batcher)

    return asyncio.run(main())


class Counting:
    """Doubles numbers, and remembers the batches; the first waits until all callers have come."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()

    def __call__(self, inputs: Sequence[int]) -> list[int]:
        self.batches.append(list(inputs))
        self.threads.add(threading.get_ident())
        time.sleep(0.01 if len(self.batches) == 1 else 0)
        if any(one < 0 for one in inputs):
            raise ValueError("negative")
        return [2 * one for one in inputs]


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=5), min_size=1, max_size=20), st.integers(1, 12))
def test_everyone_gets_their_own_answers_in_order(asked, most):
    answer = Counting()

    async def callers(batcher):
        return await asyncio.gather(*(batcher.ask(inputs) for inputs in asked))

    assert run(callers, answer, batch=most) == [[2 * one for one in inputs] for inputs in asked]
    assert sum(map(len, answer.batches)) == sum(map(len, asked))
    assert all(len(batch) <= most or len(batch) <= 5 for batch in answer.batches)
    assert len(answer.threads) == 1


def test_what_waits_is_answered_together():
    answer = Counting()

    async def callers(batcher):
        return await asyncio.gather(*(batcher.ask([number]) for number in range(9)))

    run(callers, answer, batch=4)
    assert [len(batch) for batch in answer.batches] == [4, 4, 1]


def test_one_that_fails_harms_no_other():
    async def callers(batcher):
        return await asyncio.gather(*(batcher.ask([n]) for n in (1, -1, 2)), return_exceptions=True)

    first, bad, last = run(callers, Counting(), batch=8)
    assert (first, last) == ([2], [4])
    assert isinstance(bad, ValueError)


def test_too_many_are_told_to_come_again_and_the_others_are_answered():
    async def callers(batcher):
        return await asyncio.gather(*(batcher.ask([n]) for n in range(10)), return_exceptions=True)

    said = run(callers, Counting(), waiting=4)
    assert sum(isinstance(one, Overloaded) for one in said) == 6
    assert said[:4] == [[0], [2], [4], [6]]


def test_one_request_may_be_larger_than_the_queue_when_nothing_waits():
    assert run(lambda batcher: batcher.ask([1, 2, 3]), Counting(), waiting=2) == [2, 4, 6]


def test_who_waits_too_long_is_told_and_is_not_computed():
    release = threading.Event()
    seen: list[int] = []

    def answer(inputs: Sequence[int]) -> list[int]:
        release.wait(5)
        seen.extend(inputs)
        return list(inputs)

    async def callers(batcher):
        said = await asyncio.gather(batcher.ask([1]), batcher.ask([2]), return_exceptions=True)
        release.set()
        return said

    said = run(callers, answer, batch=1, seconds=0.05)
    assert [type(one) for one in said] == [TimeoutError, TimeoutError]
    assert 2 not in seen


def test_work_of_its_own_runs_on_the_same_thread_between_batches():
    answer = Counting()

    async def callers(batcher):
        return await asyncio.gather(batcher.ask([1]), batcher.alone(threading.get_ident), batcher.ask([2]))

    first, thread, last = run(callers, answer)
    assert (first, last) == ([2], [4])
    assert answer.threads == {thread}
    assert answer.batches == [[1], [2]]


def test_its_failure_reaches_its_caller():
    def fail() -> None:
        raise KeyError("gone")

    async def callers(batcher):
        with pytest.raises(KeyError, match="gone"):
            await batcher.alone(fail)
        return await batcher.ask([4])

    assert run(callers, Counting()) == [8]
