"""A command line, parsed and not run: the program that `launch` asks whether a job's arguments are right.

It is a process of its own, because the command line is above everything that asks. It prints one JSON object.
"""

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from toolkit.cli.conventions import rewritten
from toolkit.cli.options import GLOBAL, before_arguments, named_command, of_command
from toolkit.errors import CallError, ToolkitError

_FIX = "`toolkit {} --help` lists its arguments and options."


def main() -> None:
    """Parse the arguments of this process; a failure is printed as `error`."""
    try:
        content = parsed(sys.argv[1:])
    except ToolkitError as error:
        content = {"error": {"problem": error.problem, "fix": error.fix, "id": error.id}}
    sys.stdout.write(json.dumps(content, default=str) + "\n")


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """Parse a command line of the toolkit.

    Returns:
        `name` of the command, its `words` with every option under its own name, the `options` that it has, and their
        values as `given`.

    Raises:
        CallError: It is wrong.
    """
    from toolkit.cli import app

    program: Any = typer.main.get_command(app)
    own = rewritten(of_command(words), lambda: program)
    name = named_command(own, lambda: program)
    if name is None:
        unknown = f"There is no command `{own[0]}`." if own else "No command is given."
        raise CallError(unknown, "`toolkit --help` lists the commands.", id="config.command-line")
    command, parts = program, name.split()
    for part in parts:
        command = command.commands[part]
    given = _values(command, name, own[len(parts) :])
    if name == "finetune":
        _check_configuration(given)
    shared = [word for word in before_arguments(words) if word in GLOBAL]
    options = sorted({option for item in command.params for option in item.opts})
    return {"name": name, "words": [*parts, *shared, *own[len(parts) :]], "options": options, "given": given}


def _values(command: Any, name: str, words: list[str]) -> dict[str, Any]:
    """Return the values of a command's parameters, without a call of it."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            values: dict[str, Any] = command.make_context(f"toolkit {name}", words).params
    except typer.Exit:  # of --help
        raise CallError(
            f"`toolkit {name} --help` runs nothing.", "Leave out --help.", id="config.command-line"
        ) from None
    except Exception as error:
        message = getattr(error, "format_message", None)  # of the parser's own exceptions
        if message is None:
            raise
        raise CallError(message(), _FIX.format(name), id="config.command-line") from None
    return values


def _check_configuration(given: dict[str, Any]) -> None:
    """Check keys and values of a training, unless they are in files of the other machine."""
    files = [Path(given["recipe"])] if given["recipe"].endswith(".py") else []
    files += [given["config"]] if given["config"] is not None else []
    if all(file.is_file() for file in files):
        from toolkit.api.training.finetune import settings

        settings(given)
