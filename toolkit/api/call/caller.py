"""The caller of a function: a program, or the command line with its own observer and command."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from toolkit.api.call.progress import Bar
from toolkit.api.call.words import command_line
from toolkit.events import Observe

_NOT_REPEATED = ("progress", "push_to", "dry_run")


@dataclass(frozen=True)
class Caller:
    """The caller of a function.

    Attributes:
        observe: Called with each event.
        command: The command in reports, and in messages about resuming.
        started: Start of the call by `time.monotonic`; a time budget counts from it.
    """

    observe: Observe
    command: str
    started: float


@contextmanager
def called(progress: bool | Caller, verb: str, arguments: Sequence[str], words: Mapping[str, Any]) -> Iterator[Caller]:
    """Return the caller: the command line, or a program, for which a progress bar is shown.

    Args:
        progress: The argument of the function.
        verb: The command that does the same.
        arguments: Its positional arguments.
        words: Its options, as keyword arguments.
    """
    if isinstance(progress, Caller):
        yield progress
        return
    options = {word: value for word, value in words.items() if word not in _NOT_REPEATED}
    with Bar(visible=progress) as bar:
        yield Caller(bar, command_line(verb, arguments, options), time.monotonic())
