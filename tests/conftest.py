"""Fixtures of several rooms."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from toolkit import sources
from toolkit.tasks import loading
from toolkit.tasks.contract import Recipe

# A shell lets background jobs ignore it, and the commands that tests interrupt would do so, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every machine, however slow or busy it is.
settings.register_profile("toolkit", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("toolkit")


@pytest.fixture
def sentiment() -> Recipe:
    return loading.load("sentiment")


@pytest.fixture
def tokens() -> Recipe:
    return loading.load("tokens")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub cannot be reached, as the process has already found."""
    monkeypatch.setattr(sources, "hub_problem", lambda: "there is no network")


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Opening a connection fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    return


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file below the test's own folder."""

    def write_file(name: str, content: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def write_csv(write: Callable[..., Path]) -> Callable[..., Path]:
    """Write (text, label) rows as a CSV file."""

    def write_rows(name: str, rows: Any, header: str = "text,label") -> Path:
        return write(name, "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")

    return write_rows
