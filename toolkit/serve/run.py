"""Listen, answer, and end cleanly."""

import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from toolkit.errors import ConfigError, RunError
from toolkit.serve.limits import Limits
from toolkit.serve.refusals import unreadable


def check_installed() -> None:
    """Refuse to begin where what serving needs is not installed.

    Raises:
        ConfigError: FastAPI or uvicorn is missing.
    """
    import importlib.util

    missing = [name for name in ("fastapi", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"Serving needs {' and '.join(missing)}.", "pip install 'finetune-toolkit[serve]'")


def listen(host: str, port: int) -> socket.socket:
    """Open the socket, before a model is loaded for nothing.

    Args:
        host: Address to listen on.
        port: 0 takes one that is free.

    Raises:
        ConfigError: It cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        raise ConfigError(
            f"{host}, port {port}, cannot be listened on: {error.strerror or error}.",
            "Name another with --port; 0 takes one that is free.",
        ) from error
    return opened


def serve(
    app: Any,
    opened: socket.socket,
    limits: Limits,
    started: Callable[[], None],
    hold: Callable[[Any], None] = lambda _server: None,
) -> None:
    """Answer until Ctrl-C or SIGTERM; what was asked by then is still answered.

    Args:
        app: From `create_app`.
        opened: From `listen`.
        limits: How many connections there may be, and how long the last ones may take.
        started: Called once requests are taken.
        hold: Handed the server, whose `should_exit` ends it.

    Raises:
        RunError: The service could not start.
    """
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Protocol(H11Protocol):
        """Refuses what is no HTTP request in the shape of every refusal."""

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
            body = unreadable()
            head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            self.transport.write(f"{head}connection: close\r\n\r\n".encode() + body)
            self.transport.close()

    class Server(uvicorn.Server):
        """Tells when it has started."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                started()

    settings = uvicorn.Config(
        app,
        log_level="warning",
        http=Protocol,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
        server_header=False,
    )
    server = Server(settings)
    hold(server)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again once everything has been answered
    with suppress(KeyboardInterrupt):
        server.run(sockets=[opened])
    if not server.started:
        raise RunError("The service could not start.", "Its log above says why.")
