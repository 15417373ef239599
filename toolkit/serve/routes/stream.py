"""Predictions of many inputs as NDJSON: a line for each input, as soon as its batch is predicted.

body ─ lines ─→ one batch is predicted, the next one waits ─→ written, as fast as the client reads

No more than two batches of a request are in memory besides its body. While the client does not read, nothing more of
its request is predicted; while the queue is full, the request waits.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from toolkit.serve.batcher import Overloaded
from toolkit.serve.refusals import RETRY_SECONDS, too_long

Predict = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]


async def lines(inputs: Iterable[Any], predict: Predict, size: int) -> AsyncIterator[bytes]:
    """Predict the first batch, and return the lines of all.

    Args:
        inputs: As `predict` takes them.
        predict: Inputs → the answer to each.
        size: Inputs of a batch.

    Raises:
        Overloaded: The queue is full.
        TimeoutError: The first batch took too long.
    """
    left = iter(inputs)
    chunks = iter(lambda: list(islice(left, size)), [])
    return _lines(await predict(next(chunks, [])), chunks, predict)


async def _lines(answers: Sequence[Any], chunks: Iterator[list[Any]], predict: Predict) -> AsyncIterator[bytes]:
    for chunk in chunks:
        coming = asyncio.create_task(_patiently(predict, chunk))
        try:
            yield _written(answers)
            answers = await coming
        finally:
            coming.cancel()  # the client has gone
    yield _written(answers)


async def _patiently(predict: Predict, chunk: Sequence[Any]) -> Sequence[Any]:
    """Predict a batch once the queue has room; one that takes too long has a problem for each input."""
    while True:
        try:
            return await predict(chunk)
        except Overloaded:
            await asyncio.sleep(RETRY_SECONDS)
        except TimeoutError:
            return [too_long()] * len(chunk)


def _written(answers: Sequence[Any]) -> bytes:
    return b"".join(compact(answer) + b"\n" for answer in answers)


def compact(answer: Any) -> bytes:
    """Return JSON on one line."""
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")  # of a lone surrogate its escape, which is JSON as well
