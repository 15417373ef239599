"""Batches made in a background thread while the device computes.

    plan ──► prepare (thread) ──► queue of a few ──► the loop
                                       │
                         waits are counted, and long ones reported

Order and contents are those of a plain loop: one thread prepares one item after another, and draws no random numbers.

torch's DataLoader does this in a worker process: a batch of 32 rows of 10 to 60 tokens took 1.9 ms of processor time
with 5,000 rows and 2.2 ms with 50,000, and the worker 190 MiB, where a thread takes 0.2 ms and no copy. A worker also
does not see that micro-batches have become smaller after memory ran out.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")

DEPTH = 4  # prepared items that wait at most
STALL_SECONDS = 30.0


class Prefetched(Generic[T, U]):
    """Yields (item, prepared item) in order, prepared ahead; use as a context manager, which ends the thread.

    On a CPU a further thread gains nothing: there items are prepared when they are
    requested, and that time counts as waiting.

    Attributes:
        waited: Seconds that the loop waited for the last item.
    """

    def __init__(
        self,
        items: Iterable[T],
        prepare: Callable[[T], U],
        *,
        ahead: bool = True,
        depth: int = DEPTH,
        stall_seconds: float = STALL_SECONDS,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Set the items to prepare; nothing starts before the first one is requested.

        Args:
            items: What to prepare, in order.
            prepare: Called in the background thread, one item at a time.
            ahead: Whether a thread prepares them.
            depth: Maximum number of waiting items, which bounds memory.
            stall_seconds: A wait of this length is reported, with the number of the item, and again after as long.
            say: Called at each stall.
        """
        self.waited = 0.0
        self._items = items
        self._prepare = prepare
        self._ahead = ahead
        self._stall_seconds = stall_seconds
        self._say = say
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="toolkit-input", daemon=True)

    def __enter__(self) -> "Prefetched[T, U]":
        """Be ready to prepare."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread; what was prepared and not taken is dropped."""
        self._closed.set()
        while self._thread.is_alive():  # it may be waiting for room in the queue
            self._drain()
            self._thread.join(0.05)
        self._drain()

    def __iter__(self) -> Iterator[tuple[T, U]]:
        """Yield pairs until all are taken; an error of `prepare` comes here, at its place in the order."""
        if not self._ahead:
            yield from self._in_place()
            return
        self._thread.start()
        number = 0
        while True:
            kind, value = self._next(number + 1)
            if kind == "end":
                return
            if kind == "error":
                raise value
            number += 1
            yield value

    def _in_place(self) -> Iterator[tuple[T, U]]:
        for number, item in enumerate(self._items, 1):
            start = time.perf_counter()
            prepared = self._prepare(item)
            taken = time.perf_counter() - start
            self.waited = taken
            if taken >= self._stall_seconds:
                self._say(f"Input was stalled: batch {number} took {taken:.0f} s to prepare.")
            yield item, prepared

    def _next(self, number: int) -> tuple[str, Any]:
        start = time.perf_counter()
        try:
            while True:
                try:
                    return self._queue.get(timeout=self._stall_seconds)
                except queue.Empty:
                    waited = time.perf_counter() - start
                    self._say(f"Input is stalled: batch {number} is not ready after {waited:.0f} s of waiting.")
        finally:
            self.waited = time.perf_counter() - start

    def _work(self) -> None:
        try:
            for item in self._items:
                prepared = self._prepare(item)
                if not self._put(("item", (item, prepared))):
                    return
            self._put(("end", None))
        except BaseException as error:
            self._put(("error", error))

    def _put(self, entry: tuple[str, Any]) -> bool:
        """Queue an entry; return whether the consumer is still active."""
        while not self._closed.is_set():
            try:
                self._queue.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def _drain(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except queue.Empty:
            pass


def pinned(batch: dict[str, Any]) -> dict[str, Any]:
    """Return a batch in page-locked memory, which a GPU copies while it computes."""
    return {name: tensor.pin_memory() for name, tensor in batch.items()}
