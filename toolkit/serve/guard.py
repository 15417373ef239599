"""Checks before a request reaches a route: host name, size, and number of requests."""

import asyncio
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from toolkit.serve.limits import Limits
from toolkit.serve.refusals import Refused, refusal_response, too_busy, too_large, too_late, unknown_host

_PORT = re.compile(r":\d*$")
PATIENCE = 5.0  # seconds for the rest of a refused request: a client that is cut off while sending sees no response


class Guard:
    """Refuses requests with unknown host names, too large or slow requests, and requests beyond the limit.

    Args:
        app: The application for accepted requests.
        limits: How large, how long, how many.
        hosts: Names under which the service may be addressed, so that no other web page reaches it through a name of
            its own; "*" for any.
    """

    def __init__(self, app: Any, limits: Limits, hosts: Sequence[str]) -> None:
        self.app = app
        self.limits = limits
        bare = [host.lower().strip("[]") for host in hosts]
        self.hosts = [f"[{host}]" if ":" in host else host for host in bare]  # the form of IPv6 addresses
        self.open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refused = self._refused(dict(scope["headers"]))
        if refused is not None:
            await _pass_over(receive)
            await refused(scope, receive, send)
            return
        self.open += 1
        try:
            await self.app(scope, self._counted(receive), send)
        finally:
            self.open -= 1

    def _refused(self, headers: dict[bytes, bytes]) -> Any:
        """Return the response to a refused request; None for the others."""
        host = _PORT.sub("", headers.get(b"host", b"").decode("latin-1")).lower()
        if "*" not in self.hosts and host not in self.hosts:
            return unknown_host(host)
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self.limits.body_bytes:
            return refusal_response(413, too_large(self.limits.body_bytes))
        return too_busy() if self.open >= self.limits.connections else None

    def _counted(self, receive: Any) -> Any:
        """Limit the size of the body, before it is in memory, and the time to receive it."""
        seen, whole = 0, False
        began = time.monotonic()

        async def counted() -> Any:
            nonlocal seen, whole
            if whole:  # the next message is the disconnect
                return await receive()
            left = began + self.limits.seconds + seen / self.limits.bytes_per_second - time.monotonic()
            try:
                async with asyncio.timeout(left):
                    message = await receive()
            except TimeoutError:
                raise Refused(408, too_late()) from None
            whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > self.limits.body_bytes:
                raise Refused(413, too_large(self.limits.body_bytes))
            return message

        return counted


async def _pass_over(receive: Any) -> None:
    """Read and discard a body."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while (await receive()).get("more_body", False):
                pass
