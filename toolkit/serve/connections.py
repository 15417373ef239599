"""Connections: their number, the time limit for a request, and the shutdown.

listener ─ as many as there is room for ─→ protocol ─ a whole head ─→ guard.py …
    (the others wait in the kernel)            (late: closed)

Clients that send their request at once are not refused here. At the limit, the connection that has been idle for
longest is closed, so that clients with incomplete requests, or none, block no others.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from toolkit.serve.limits import Limits
from toolkit.serve.logs import LOG
from toolkit.serve.refusals import raw, too_late, unreadable

BACKLOG = 2048  # connections that the kernel queues
SPARED = 16  # descriptors for everything else that the process opens
SILENT = 0.3  # seconds after which an idle connection may be closed
LINGER = 5.0  # seconds for the client to read a response
LAST = 0.5  # seconds for requests in transit at shutdown


def room(most: int) -> int:
    """Return the maximum number of connections: at most half of the free descriptors of this process.

    The number that it may have is raised first, as far as the system permits.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return most
    used = _used() + SPARED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = used + 2 * most
    if resource.RLIM_INFINITY != soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, (soft - used) // 2))


def _used() -> int:
    folder = Path("/proc/self/fd") if Path("/proc/self/fd").is_dir() else Path("/dev/fd")
    try:
        return len(os.listdir(folder))  # noqa: PTH208 - their names alone
    except OSError:
        return 64


def protocol(limits: Limits) -> Any:
    """Return the class of a connection, made for one server."""

    class Protocol(H11Protocol):
        """A connection with error responses in the common form, and time limits for headers and readers.

        Attributes:
            silent: Connections without a whole request → since when; the oldest first. Of all of this class.
        """

        silent: dict["Protocol", float] = {}  # noqa: RUF012 - one for all, as is meant
        late: asyncio.TimerHandle | None = None
        stuck: asyncio.TimerHandle | None = None
        partial = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.look()

        def data_received(self, data: bytes) -> None:
            self.partial = True
            super().data_received(data)
            self.look()

        def on_response_complete(self) -> None:
            self.partial = False
            super().on_response_complete()
            self.look()

        def look(self) -> None:
            """Start or stop waiting for a request."""
            closing = self.transport.is_closing()
            if closing and self.stuck is None:
                self.stuck = self.loop.call_later(LINGER, self.transport.abort)
            if closing or (self.cycle is not None and not self.cycle.response_complete):
                self.heard()
            elif self not in self.silent:
                self.silent[self] = time.monotonic()
                self.late = self.loop.call_later(limits.head_seconds, self.give_up)

        def heard(self) -> None:
            """Stop waiting for a request."""
            self.silent.pop(self, None)
            if self.late is not None:
                self.late.cancel()
                self.late = None

        def give_up(self) -> None:
            """Close a connection whose request did not arrive; an incomplete request gets an error response."""
            if self.partial and self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self.transport.write(raw(408, too_late()))
            self.transport.close()
            self.look()

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self.look()

        def pause_writing(self) -> None:
            super().pause_writing()
            self.stuck = self.stuck or self.loop.call_later(limits.seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.stuck is not None and not self.transport.is_closing():
                self.stuck.cancel()
                self.stuck = None

        def connection_lost(self, exc: Exception | None) -> None:
            self.heard()
            if self.stuck is not None:
                self.stuck.cancel()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
            self.transport.write(raw(400, unreadable()))
            self.transport.close()

    return Protocol


class Server(uvicorn.Server):
    """Accepts connections within the limit, reports its start, and completes pending requests at shutdown.

    Args:
        config: Of uvicorn.
        listener: A bound socket.
        limits: How many connections, and how long the last ones may take.
        started: Called once requests are taken.
    """

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, limits: Limits, started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._protocol: Any = config.http  # from `protocol`
        self._listener = listener
        self._limits = limits
        self._room = room(limits.sockets)
        self._started = started
        self._taking = asyncio.Lock()
        self._acceptor: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - it has its own
        """Start to accept connections."""
        await super().startup([])
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._acceptor = asyncio.create_task(self._accept())
        self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - it has its own
        """Complete all requests that were sent before, and accept no later ones."""
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.seconds), self._taking:
                await self._take_in()
        if self._acceptor is not None:
            self._acceptor.cancel()
        self._listener.close()
        end = time.monotonic() + LAST
        while self._protocol.silent and time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(0.02)
        await super().shutdown([])

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            readable = asyncio.Event()
            loop.add_reader(self._listener, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(self._listener)
            async with self._taking:
                await self._take_in()

    async def _take_in(self) -> None:
        """Accept all waiting connections."""
        loop = asyncio.get_running_loop()
        while not self.force_exit:
            while not (self._has_room() or self.force_exit):
                await asyncio.sleep(0.02)
            try:
                line, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor is left: other parts of this process use them
                LOG.error("Cannot accept connections: %s", error.strerror)
                await asyncio.sleep(0.2)
                return
            line.setblocking(False)
            await loop.connect_accepted_socket(self._connection, line)

    def _connection(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self._protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    def _has_room(self) -> bool:
        """Whether another connection fits; if not, close the one that has been idle for longest."""
        if len(self.server_state.connections) < self._room:
            return True
        silent = self._protocol.silent
        oldest = next(iter(silent), None)
        if oldest is not None and time.monotonic() - silent[oldest] >= SILENT:
            oldest.give_up()
        return False
