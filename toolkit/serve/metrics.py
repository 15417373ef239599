"""What the service counts and measures, in the text format of Prometheus."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

Input = TypeVar("Input")
Answer = TypeVar("Answer")

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
OTHER = "other"  # the route of requests to unknown paths, so that they make no time series of their own


class Metrics:
    """The counters and histograms of one service.

    Args:
        routes: Paths of the service.
    """

    def __init__(self, routes: Collection[str]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("toolkit_requests", "Requests by route and status", ["route", "status"], **own)
        self._seconds = Histogram(
            "toolkit_request_seconds", "Time until the response was sent", ["route"], buckets=SECONDS, **own
        )
        self._batches = Histogram("toolkit_batch_inputs", "Inputs of a batch", buckets=SIZES, **own)
        self._forward = Histogram("toolkit_batch_seconds", "Time of a batch", buckets=SECONDS, **own)
        self._rejected = Counter("toolkit_rejected_inputs", "Inputs that were answered by a problem", **own)
        self._waiting = Gauge("toolkit_waiting_inputs", "Inputs that wait for a batch", **own)
        self._routes = frozenset(routes)

    def watch(self, waiting: Callable[[], int]) -> None:
        """Set what returns the number of waiting inputs."""
        self._waiting.set_function(waiting)

    def reject(self, inputs: int) -> None:
        """Count inputs that were answered by a problem."""
        self._rejected.inc(inputs)

    def timed(self, answer: Callable[[Sequence[Input]], Sequence[Answer]]) -> Callable[[Sequence[Input]], Any]:
        """Return a function that predicts a batch and measures it."""

        def measured(inputs: Sequence[Input]) -> Sequence[Answer]:
            began = time.perf_counter()
            answers = answer(inputs)
            self._batches.observe(len(inputs))
            self._forward.observe(time.perf_counter() - began)
            return answers

        return measured

    def around(self, app: Any) -> Any:
        """Return an application that counts the requests of another."""

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            route = scope["path"] if scope["path"] in self._routes else OTHER
            status, began = 500, time.perf_counter()

            async def noted(message: Any) -> None:
                nonlocal status
                status = message.get("status", status)
                await send(message)

            try:
                await app(scope, receive, noted)
            finally:
                self._requests.labels(route, status).inc()
                self._seconds.labels(route).observe(time.perf_counter() - began)

        return counted

    def text(self) -> bytes:
        """Return all metrics."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)
