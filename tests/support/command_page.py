"""Write docs/commands.md from the command line itself: `python -m tests.support.command_page`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from toolkit.cli import app
from toolkit.config import describe
from toolkit.tasks import catalogue, loading

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
HEAD = """\
# Commands

Every command with its arguments and options, as `toolkit COMMAND --help` prints them. Any value is set with
`--set KEY=VALUE` ([keys](#keys-of-the-configuration)), a `--config FILE` or a `--preset NAME`; a misspelt key is
rejected, with a suggestion of the nearest valid one. Names of options that are known from transformers' scripts are
read as these ([training.md](training.md#names-of-transformers)). `toolkit --install-completion` installs completion for
your shell.

[errors.md](errors.md#exit-codes) lists the exit codes, and [json.md](json.md) what `--json` prints.

`make docs` writes this page from the command line.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command that can be called, with its name from the program on: "toolkit runs list"."""
    yield from _below("toolkit", typer.main.get_command(app))


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, inner in command.commands.items():
        if not inner.hidden:
            yield from _below(f"{name} {word}", inner)


def page() -> str:
    """Return the page in Markdown."""
    sections = (line for command in commands() for line in _section(*command))
    root = typer.main.get_command(app)
    return "\n".join([HEAD, "## toolkit", "", *_table(root), *sections, *_own_options(), *_keys()])


def _own_options() -> list[str]:
    """Return the options of recipes, which every command with `--set` has."""
    lines = ["## Options of recipes", "", "Commands that have `--set` take them for a model or data of the recipe.", ""]
    for name in catalogue.available():
        fields = getattr(loading.load(name).options, "model_fields", {})
        rows = [f"| `--{key.replace('_', '-')}` | {_cell(field.description)} |" for key, field in fields.items()]
        if rows:
            lines += [f"### {name}", "", "| option | meaning |", "| --- | --- |", *rows, ""]
    return lines


def _keys() -> list[str]:
    """Return the keys of the configuration."""
    about = "`toolkit recipes show RECIPE` prints them with the values that a run would use, and the source of each."
    more = "[training.md](training.md) says when to change those of `training`, `loss` and `adapter`."
    rows = [f"| `{key}` | {_cell(meaning)} |" for key, meaning in describe()]
    return ["## Keys of the configuration", "", f"{about} {more}", "", "| key | meaning |", "| --- | --- |", *rows, ""]


def _section(name: str, command: Any) -> list[str]:
    usage = [piece for parameter in command.params for piece in parameter.get_usage_pieces(_context(command))]
    about = [text for text in (command.help, command.epilog) if text]
    call = " ".join([name, *usage, "[OPTIONS]"])
    return [f"## {name}", "", "```text", call, "```", "", "\n\n".join(about), "", *_table(command)]


def _table(command: Any) -> list[str]:
    records = [parameter.get_help_record(_context(command)) for parameter in command.params]
    rows = [f"| `{_cell(names)}` | {_cell(meaning)} |" for names, meaning in filter(None, records)]
    return ["| argument or option | meaning |", "| --- | --- |", *rows, ""] if rows else []


def _context(command: Any) -> Any:
    return command.make_context(command.name, [], resilient_parsing=True)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
