"""Dynamic batching: requests that wait at the same time share a forward pass.

ask ─┐                       ┌─ one job's predictions
ask ─┼─→ queue ─→ answer() ──┼─ …
ask ─┘   (while the model is busy, the next batch gathers)

The model is used by one thread, as torch has threads of its own. No caller holds it for long: a request of
more inputs than a batch alternates with the others, and long work, such as explanations,
lets a batch run at each pause.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from toolkit.serve.limits import Limits

Input = TypeVar("Input")
Answer = TypeVar("Answer")
Result = TypeVar("Result")

Pause = Callable[[], None]


class Overloaded(Exception):
    """The queue is full."""


class Abandoned(Exception):
    """The caller of some work has disconnected."""


@dataclass
class _Job(Generic[Input]):
    """A job of one caller: predictions of inputs, or other work."""

    inputs: Sequence[Input]
    work: Callable[[Pause], Any] | None
    done: asyncio.Future[Any]
    begun: int = 0  # inputs that are predicted or in progress
    answers: list[Any] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        return 1 if self.work is not None else len(self.inputs) - self.begun


_Pieces = list[tuple[_Job[Input], Sequence[Input]]]


class Batcher(Generic[Input, Answer]):
    """Collects the inputs of callers, and predicts them in batches on the model's thread.

    Use it as an asynchronous context manager.

    Args:
        answer: Inputs → a prediction of each. Runs on the model's thread.
        limits: How many inputs make a batch, how many may wait, and for how long.
        thread: The model's thread, where it is that of another batcher.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Input]], Sequence[Answer]],
        limits: Limits,
        thread: ThreadPoolExecutor | None = None,
    ) -> None:
        self._answer = answer
        self._limits = limits
        self._inputs: deque[_Job[Input]] = deque()
        self._alone: deque[_Job[Input]] = deque()
        self._arrived = asyncio.Event()
        self.thread = thread or ThreadPoolExecutor(1, thread_name_prefix="model")
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Batcher[Input, Answer]":
        """Start the worker."""
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drop waiting jobs, and wait for the running batch."""
        if self._worker is not None:
            self._worker.cancel()
        for job in (*self._inputs, *self._alone):
            job.done.cancel()
        await asyncio.to_thread(self.thread.shutdown)

    @property
    def waiting(self) -> int:
        """Number of waiting inputs."""
        return sum(job.waiting for job in (*self._inputs, *self._alone))

    async def ask(self, inputs: Sequence[Input]) -> list[Answer | Exception]:
        """Return the answer to each input, or what `answer` raised for it alone.

        Raises:
            Overloaded: The queue is full.
            TimeoutError: It took longer than a request may.
        """
        answers: list[Answer | Exception] = await self._wait(self._inputs, inputs, None)
        return answers

    async def alone(self, work: Callable[[Pause], Result]) -> Result:
        """Return what `work` returns on the model's thread; raises as `ask` does, and what `work` raises.

        Args:
            work: Called with a function to call between its steps, which processes waiting batches, and raises
                `Abandoned` when the caller has gone away.
        """
        if len(self._alone) >= self._limits.explanations:
            raise Overloaded
        result: Result = await self._wait(self._alone, (), work)
        return result

    async def _wait(
        self, queue: deque[_Job[Input]], inputs: Sequence[Input], work: Callable[[Pause], Any] | None
    ) -> Any:
        job = _Job(inputs, work, asyncio.get_running_loop().create_future())
        waiting = self.waiting
        if waiting and waiting + job.waiting > self._limits.waiting:
            raise Overloaded
        queue.append(job)
        self._arrived.set()
        async with asyncio.timeout(self._limits.seconds):
            return await job.done

    async def _work(self) -> None:
        """Alternate between a batch and one piece of other work, so that neither blocks the other."""
        while True:
            await self._arrived.wait()
            pieces = self._next()
            if pieces:
                self._deliver(pieces, await self._run(lambda batch=pieces: self._answers(batch)))  # type: ignore[misc]
            if self._alone:
                await self._do(self._alone.popleft())
            elif not pieces:
                self._arrived.clear()

    def _next(self) -> _Pieces[Input]:
        """Take the inputs of the next batch; disconnected callers are skipped.

        A job with remaining inputs goes to the end of the queue.
        """
        pieces: _Pieces[Input] = []
        room = self._limits.batch
        for _ in range(len(self._inputs)):
            job = self._inputs.popleft()
            if job.done.done():
                continue
            taken = job.inputs[job.begun : job.begun + room]
            job.begun += len(taken)
            room -= len(taken)
            pieces.append((job, taken))
            if job.waiting:
                self._inputs.append(job)
            if not room:
                break
        return pieces

    def _answers(self, pieces: _Pieces[Input]) -> list[Answer | Exception]:
        """Predict a batch; if that fails, predict each input alone, so that a bad input affects no other."""
        inputs = [item for _, taken in pieces for item in taken]
        try:
            return list(self._answer(inputs))
        except Exception as error:
            if len(inputs) == 1:
                return [error]
            return [item for job, taken in pieces for alone in taken for item in self._answers([(job, [alone])])]

    def _deliver(self, pieces: _Pieces[Input], answers: Sequence[Answer | Exception]) -> None:
        left = iter(answers)
        for job, taken in pieces:
            job.answers += [next(left) for _ in taken]
            if len(job.answers) == len(job.inputs) and not job.done.done():
                job.done.set_result(job.answers)

    async def _do(self, job: _Job[Input]) -> None:
        """Run other work."""
        work = job.work
        if work is None or job.done.done():
            return
        loop = asyncio.get_running_loop()
        try:
            result = await self._run(lambda: work(lambda: self._pause(job, loop)))
        except Exception as error:
            if not job.done.done():
                job.done.set_exception(error)
        except asyncio.CancelledError:
            job.done.cancel()
            raise
        else:
            if not job.done.done():
                job.done.set_result(result)

    def _pause(self, job: _Job[Input], loop: asyncio.AbstractEventLoop) -> None:
        """Predict a batch during other work; called on the model's thread."""
        if job.done.done():
            raise Abandoned
        if not self._inputs:
            return

        async def take() -> _Pieces[Input]:
            return self._next()

        pieces = asyncio.run_coroutine_threadsafe(take(), loop).result()
        if pieces:
            loop.call_soon_threadsafe(self._deliver, pieces, self._answers(pieces))

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)
