"""Concurrent callers: shared batches, individual results, no interference."""

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
        if any(item < 0 for item in inputs):
            raise ValueError("negative")
        return [2 * item for item in inputs]


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=5), min_size=1, max_size=20), st.integers(1, 12))
def test_everyone_gets_their_own_answers_in_order(asked, most):
    answer = Counting()

    async def callers(batcher):
        return await asyncio.gather(*(batcher.ask(inputs) for inputs in asked))

    assert run(callers, answer, batch=most) == [[2 * item for item in inputs] for inputs in asked]
    assert sum(map(len, answer.batches)) == sum(map(len, asked))
    assert all(len(batch) <= most for batch in answer.batches)
    assert len(answer.threads) == 1


def test_waiting_inputs_share_a_batch():
    answer = Counting()

    async def callers(batcher):
        return await asyncio.gather(*(batcher.ask([number]) for number in range(9)))

    run(callers, answer, batch=4)
    assert [len(batch) for batch in answer.batches] == [4, 4, 1]


def test_one_that_fails_harms_no_other():
    async def callers(batcher):
        return await asyncio.gather(*(batcher.ask(request) for request in ([1], [-1, 3], [2])))

    first, (bad, good), last = run(callers, Counting(), batch=8)
    assert (first, good, last) == ([2], 6, [4])
    assert isinstance(bad, ValueError)


def test_a_large_request_is_answered_in_turns_with_the_others():
    answer = Counting()

    async def callers(batcher):
        return await asyncio.gather(batcher.ask(list(range(20))), batcher.ask([50]), batcher.ask([60]))

    large, *small = run(callers, answer, batch=5)
    assert large == [2 * number for number in range(20)]
    assert small == [[100], [120]]
    assert [item for batch in answer.batches[:2] for item in batch if item >= 50] == [50, 60]


def test_others_are_answered_at_the_pauses_of_work_of_its_own():
    answer, order = Counting(), []

    def work(pause):
        for step in range(3):
            time.sleep(0.02)
            pause()
            order.append(step)
        return "worked"

    async def callers(batcher):
        slow = asyncio.create_task(batcher.alone(work))
        await asyncio.sleep(0.01)
        assert await batcher.ask([4]) == [8]
        order.append("answered")
        return await slow

    assert run(callers, answer) == "worked"
    assert order.index("answered") < order.index(2)


def test_abandoned_work_ends_at_its_next_pause():
    ended = threading.Event()

    def work(pause):
        try:
            while True:
                time.sleep(0.01)
                pause()
        finally:
            ended.set()

    async def callers(batcher):
        with pytest.raises(TimeoutError):
            await batcher.alone(work)
        return await batcher.ask([1])

    assert run(callers, Counting(), seconds=0.1) == [2]
    assert ended.wait(5)


def test_excess_work_is_rejected():
    release = threading.Event()

    async def callers(batcher):
        jobs = [asyncio.create_task(batcher.alone(lambda _pause: release.wait(5))) for _ in range(6)]
        await asyncio.sleep(0.05)
        release.set()
        return await asyncio.gather(*jobs, return_exceptions=True)

    output = run(callers, Counting(), explanations=2)
    assert sum(isinstance(item, Overloaded) for item in output) >= 3
    assert output[0] is True


def test_excess_inputs_are_rejected_and_others_answered():
    async def callers(batcher):
        return await asyncio.gather(*(batcher.ask([n]) for n in range(10)), return_exceptions=True)

    output = run(callers, Counting(), waiting=4)
    assert sum(isinstance(item, Overloaded) for item in output) == 6
    assert output[:4] == [[0], [2], [4], [6]]


def test_large_request_is_accepted_by_an_empty_queue():
    assert run(lambda batcher: batcher.ask([1, 2, 3]), Counting(), waiting=2) == [2, 4, 6]


def test_expired_jobs_are_not_computed():
    release = threading.Event()
    seen: list[int] = []

    def answer(inputs: Sequence[int]) -> list[int]:
        release.wait(5)
        seen.extend(inputs)
        return list(inputs)

    async def callers(batcher):
        output = await asyncio.gather(batcher.ask([1]), batcher.ask([2]), return_exceptions=True)
        release.set()
        return output

    output = run(callers, answer, batch=1, seconds=0.05)
    assert [type(item) for item in output] == [TimeoutError, TimeoutError]
    assert 2 not in seen


def test_work_of_its_own_runs_on_the_same_thread_between_batches():
    answer = Counting()

    async def callers(batcher):
        return await asyncio.gather(
            batcher.ask([1]), batcher.alone(lambda _pause: threading.get_ident()), batcher.ask([2])
        )

    first, thread, last = run(callers, answer)
    assert (first, last) == ([2], [4])
    assert answer.threads == {thread}


def test_its_failure_reaches_its_caller():
    def fail(_pause: Callable[[], None]) -> None:
        raise KeyError("gone")

    async def callers(batcher):
        with pytest.raises(KeyError, match="gone"):
            await batcher.alone(fail)
        return await batcher.ask([4])

    assert run(callers, Counting()) == [8]
