"""The arguments of the job, checked by the command line itself before anything is written."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.distributed import launcher
from toolkit.errors import CallError
from toolkit.events import Note, Observe


@dataclass(frozen=True)
class Arguments:
    """A command of the toolkit as the command line reads it.

    Attributes:
        name: Of the command.
        words: Command, arguments and options, each option under its own name.
        options: The options that the command has.
        given: Name of a parameter → value.
    """

    name: str
    words: tuple[str, ...]
    options: frozenset[str]
    given: Mapping[str, Any]


@dataclass(frozen=True)
class _Failure:
    """An error of the command line, as the other process writes it."""

    problem: str
    fix: str
    id: str


def parse(words: Sequence[str], observe: Observe) -> Arguments:
    """Parse the words of a command, in a process of its own.

    Args:
        words: What follows `toolkit`.
        observe: Called with a note where a name of another toolkit was replaced.

    Raises:
        CallError: The command line is wrong.
    """
    program = [*launcher.program("toolkit.cli.parsing"), *words]
    done = subprocess.run(program, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    for line in done.stderr.splitlines():
        observe(Note(line.strip().removeprefix("note: ")))
    content = json.loads(done.stdout)
    if "error" in content:
        error = _Failure(**content["error"])
        raise CallError(error.problem, error.fix, id=error.id)
    return Arguments(content["name"], tuple(content["words"]), frozenset(content["options"]), content["given"])
