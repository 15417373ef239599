"""A limit on the time that a command takes: how it is written, and the clock that it is compared with."""

import math
import os
import re
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smh])", re.ASCII)
_STARTED = "TOOLKIT_STARTED"  # seconds since the epoch; set by a process that starts others for the same command
_IMPORTED = time.monotonic()
_OLDEST = 3600.0  # seconds; the start time of an older process is ignored


def seconds_of(value: Any) -> Any:
    """Return the seconds of "90s", "5m", "2h" or "1h30m"; a number is a number of seconds already.

    Raises:
        ValueError: It is no such length of time.
    """
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    text = str(value).strip().lower().replace(" ", "")
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("must be a length of time with its unit, such as 90s, 5m or 2h")
    return math.fsum(float(number) * _UNITS[unit] for number, unit in parts)


def written(seconds: float) -> str:
    """Return a length of time as `seconds_of` reads it, in whole seconds: 90 → "90s", 300 → "5m", 5400 → "1h30m"."""
    whole = max(1, round(seconds))
    if whole < 120 and whole % 60:
        return f"{whole}s"
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


@dataclass(frozen=True)
class Clock:
    """The time of a command that has a budget.

    Attributes:
        started: When the command began, on `time.monotonic`.
        seconds: The budget.
    """

    started: float
    seconds: float

    @property
    def spent(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds to the end of the budget; negative after it."""
        return self.seconds - self.spent


def process_start() -> float:
    """Return when the command began, on `time.monotonic`: when its first process was started.

    Where the system does not provide it, the time when this module was imported.
    """
    try:
        began = float(os.environ[_STARTED])
    except (KeyError, ValueError):
        import psutil

        try:
            began = psutil.Process().create_time()
        except psutil.Error:
            return _IMPORTED
    age = time.time() - began
    return time.monotonic() - age if 0 <= age < _OLDEST else _IMPORTED


def hand_on_start(environ: MutableMapping[str, str]) -> None:
    """Pass the start of the command to processes with this environment."""
    environ[_STARTED] = repr(time.time() - (time.monotonic() - process_start()))
