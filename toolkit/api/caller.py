"""Who calls a function: a program, or the command line with what it alone knows."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from toolkit.api.progress import Bar
from toolkit.api.words import command_line
from toolkit.events import Observe

_NOT_REPEATED = ("progress", "push_to", "dry_run")


@dataclass(frozen=True)
class Caller:
    """Who calls, and is told what happens.

    Attributes:
        observe: Called with each event.
        command: Stands in reports as the command that made them, and in messages as the one that goes on.
        started: When the call began, on `time.monotonic`; a time budget counts from then.
    """

    observe: Observe
    command: str
    started: float


@contextmanager
def called(progress: bool | Caller, verb: str, arguments: Sequence[str], words: Mapping[str, Any]) -> Iterator[Caller]:
    """Return who is told what happens: the command line, or the bar that a program's call shows.

    Args:
        progress: As the function was given it.
        verb: The command that does the same.
        arguments: What stands right behind it.
        words: Its options, as keyword arguments.
    """
    if isinstance(progress, Caller):
        yield progress
        return
    options = {word: value for word, value in words.items() if word not in _NOT_REPEATED}
    with Bar(visible=progress) as bar:
        yield Caller(bar, command_line(verb, arguments, options), time.monotonic())
