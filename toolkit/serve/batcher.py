"""Requests that wait at the same time are answered together: one forward pass for many callers.

ask ─┐                       ┌─ one job's answers
ask ─┼─→ queue ─→ answer() ──┼─ …
ask ─┘   (while the model is busy, the next batch gathers)

The model is used by one thread, which is what torch's own threads are made for.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from toolkit.serve.limits import Limits

Input = TypeVar("Input")
Answer = TypeVar("Answer")
Result = TypeVar("Result")


class Overloaded(Exception):
    """More is waiting than may wait."""


@dataclass(frozen=True)
class _Job(Generic[Input]):
    """What one caller waits for: inputs to be answered with those of others, or work of its own."""

    inputs: Sequence[Input]
    work: Callable[[], Any] | None
    done: asyncio.Future[Any]

    @property
    def size(self) -> int:
        return max(1, len(self.inputs))


class Batcher(Generic[Input, Answer]):
    """Gathers what callers ask, and has it answered in batches on the model's thread.

    Use it as an asynchronous context manager.

    Args:
        answer: Inputs → an answer to each. Runs on the model's thread.
        limits: How many inputs make a batch, how many may wait, and for how long.
    """

    def __init__(self, answer: Callable[[Sequence[Input]], Sequence[Answer]], limits: Limits) -> None:
        self._answer = answer
        self._limits = limits
        self._jobs: deque[_Job[Input]] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Batcher[Input, Answer]":
        """Begin to answer."""
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave what still waits, and wait for what is being answered."""
        if self._worker is not None:
            self._worker.cancel()
        for job in self._jobs:
            job.done.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    @property
    def waiting(self) -> int:
        """How many inputs wait."""
        return sum(job.size for job in self._jobs)

    async def ask(self, inputs: Sequence[Input]) -> list[Answer]:
        """Return the answer to each input.

        Raises:
            Overloaded: Too much is waiting.
            TimeoutError: It took longer than a request may.
            Exception: What `answer` raised for these inputs alone.
        """
        answers: list[Answer] = await self._wait(inputs, None)
        return answers

    async def alone(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns on the model's thread; raises as `ask` does."""
        result: Result = await self._wait((), work)
        return result

    async def _wait(self, inputs: Sequence[Input], work: Callable[[], Any] | None) -> Any:
        job = _Job(inputs, work, asyncio.get_running_loop().create_future())
        if self._jobs and self.waiting + job.size > self._limits.waiting:
            raise Overloaded
        self._jobs.append(job)
        self._arrived.set()
        async with asyncio.timeout(self._limits.seconds):
            return await job.done

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            batch = self._next()
            if not batch:
                self._arrived.clear()
            elif len(batch) == 1:
                await self._settle(batch[0])
            else:
                await self._settle_together(batch)

    def _next(self) -> list[_Job[Input]]:
        """Take the jobs of the next batch; callers that have gone away are passed over."""
        batch: list[_Job[Input]] = []
        while self._jobs:
            job = self._jobs[0]
            full = batch and (job.work is not None or sum(j.size for j in batch) + job.size > self._limits.batch)
            if full:
                break
            self._jobs.popleft()
            if job.done.done():
                continue
            batch.append(job)
            if job.work is not None:
                break
        return batch

    async def _settle_together(self, batch: Sequence[_Job[Input]]) -> None:
        """Answer a batch; where that fails, answer each job alone, so that a bad one harms no other."""
        inputs = [one for job in batch for one in job.inputs]
        try:
            answers = iter(await self._run(lambda: self._answer(inputs)))
        except Exception:
            for job in batch:
                await self._settle(job)
            return
        for job in batch:
            theirs = [next(answers) for _ in job.inputs]
            if not job.done.done():
                job.done.set_result(theirs)

    async def _settle(self, job: _Job[Input]) -> None:
        try:
            result = await self._run(job.work or (lambda: self._answer(job.inputs)))
        except Exception as error:
            if not job.done.done():
                job.done.set_exception(error)
            return
        if not job.done.done():
            job.done.set_result(result)

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
