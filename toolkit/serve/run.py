"""Start the service, and shut it down cleanly."""

import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from toolkit.errors import ConfigError, RunError
from toolkit.serve.limits import Limits

SWITCH = 0.0005  # seconds after which the model's thread gets the interpreter back from requests; 0.005 by default


def check_installed() -> None:
    """Refuse to start where packages for serving are not installed.

    Raises:
        ConfigError: A package is missing.
    """
    import importlib.util

    needed = ("starlette", "uvicorn", "prometheus_client")
    missing = [name.replace("_", "-") for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"Serving needs {' and '.join(missing)}.",
            "pip install 'finetune-toolkit[serve]'",
            id="machine.package-missing",
        )


def listen(host: str, port: int) -> socket.socket:
    """Open the socket, before the model is loaded.

    Args:
        host: Address to listen on.
        port: 0 takes one that is free.

    Raises:
        ConfigError: It is not available.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}.",
            "Choose another with --port; 0 selects a free one.",
            id="serve.port-taken",
        ) from error
    return opened


def serve(
    app: Any,
    opened: socket.socket,
    limits: Limits,
    started: Callable[[], None],
    hold: Callable[[Any], None] = lambda _server: None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; pending requests are completed.

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

    from toolkit.serve.connections import Server, protocol
    from toolkit.serve.logs import LOG, Seldom

    settings = uvicorn.Config(
        app,
        log_level="warning",
        use_colors=False,
        http=protocol(limits),
        ws="none",
        proxy_headers=False,  # nobody asks who the client is
        access_log=False,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
        server_header=False,
    )
    seldom = Seldom()
    LOG.addFilter(seldom)
    server = Server(settings, opened, limits, started)
    hold(server)
    if threading.current_thread() is threading.main_thread():  # uvicorn raises it again after all responses
        signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        with suppress(KeyboardInterrupt):
            server.run()
    finally:
        sys.setswitchinterval(usual)
        LOG.removeFilter(seldom)
    if not server.started:
        raise RunError("The service could not start.", "See its log above.", id="serve.not-started")
