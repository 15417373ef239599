"""Options that several commands share, and the command line as given."""

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli import completion
from toolkit.cli.console import note

if TYPE_CHECKING:
    from toolkit.api.call.caller import Caller
    from toolkit.events import Observe


GLOBAL = ("--debug", "--json", "--quiet")  # options of every command, before or after its name

Recipe = Annotated[
    str, typer.Argument(help="Name of a recipe, or the path of a recipe file.", autocompletion=completion.recipes)
]
RecipeOfModel = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="Recipe of a model that was not trained by this toolkit, or the file of the recipe of its training.",
        autocompletion=completion.recipes,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Alias, Hub id (org/name[@revision]), folder or pkg://package/path; auto, or "
        "auto:NAME,NAME, lets `finetune` choose.",
        autocompletion=completion.models,
    ),
]
LearningRate = Annotated[float | None, typer.Option("--learning-rate", help="Peak learning rate.")]
Epochs = Annotated[float | None, typer.Option("--epochs", help="Epochs: passes over the training rows.")]
Attention = Annotated[
    str | None,
    typer.Option(
        "--attention",
        help="sliding-window:W[:G], block-sparse:B[:R], top-k:K, top-blocks:B:K, FILE.py:FUNCTION, or FORM+FORM, "
        "alternating.",
        autocompletion=completion.attention,
    ),
]
GroupColumn = Annotated[
    str | None,
    typer.Option("--group-column", help="Column of groups, such as patients, that are never divided between splits."),
]
TimeColumn = Annotated[
    str | None,
    typer.Option("--time-column", help="Column of dates or numbers: train on earlier rows, test on the latest."),
]
Streaming = Annotated[
    bool,
    typer.Option("--streaming", help="Read training rows from the disk while training: data larger than memory."),
]
FromScratch = Annotated[
    bool,
    typer.Option(
        "--from-scratch",
        help="Start from random weights, with the model's architecture or one chosen for the data.",
    ),
]
BatchSize = Annotated[int | None, typer.Option("--batch-size", help="Examples per optimizer step.")]
Data = Annotated[
    str | None,
    typer.Option(
        "--data", "-d", help="File, folder, Hub data set (org/name[:config][@revision]) or pkg://package/path."
    ),
]
Output = Annotated[
    str | None, typer.Option("--output", "-o", help="Where to write; a new folder under runs/ when not given.")
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset", help="Preset of the toolkit; see `toolkit recipes list`.", autocompletion=completion.presets
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of values.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="KEY=VALUE for any key of `toolkit recipes show`; repeatable.",
        autocompletion=completion.keys,
    ),
]
TextColumn = Annotated[str | None, typer.Option("--text-column", help="Column that holds the text.")]
LabelColumn = Annotated[str | None, typer.Option("--label-column", help="Column that holds the label.")]
Target = Annotated[
    str | None,
    typer.Option(
        "--target", help="What the label column holds: class, classes, stars or number; inferred when not given."
    ),
]
MaxLength = Annotated[int | None, typer.Option("--max-length", help="Maximum number of tokens of an example.")]
Glossary = Annotated[
    str | None,
    typer.Option("--glossary", help="CSV or TSV of terms and their translations, to check the output."),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Random seed.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the checkpoint.")
]


def before_arguments(words: Sequence[str]) -> Sequence[str]:
    """Return the words before `--`, after which nothing is an option."""
    return words[: words.index("--")] if "--" in words else words


def of_command(words: Sequence[str]) -> list[str]:
    """Return the words without the options that every command takes."""
    start = before_arguments(words)
    return [*(word for word in start if word not in GLOBAL), *words[len(start) :]]


def named_command(words: Sequence[str], program: Callable[[], Any]) -> str | None:
    """Return the name of the command that words begin with, of a group with its own; None where there is none.

    Args:
        words: The command line without the options of every command.
        program: Returns the Click command of the toolkit.
    """
    names, group = [], program()
    for word in words:
        group = getattr(group, "commands", {}).get(word)
        if group is None:
            break
        names.append(word)
    return " ".join(names) or None


def command_line(command: str | None = None, without: Sequence[str] = (), unset: str | None = None) -> str:
    """Return the command line as given; no option of the toolkit takes a secret.

    Args:
        command: Replaces the name of the command.
        without: Options that are left out, each with its value.
        unset: A key of the configuration; where `--set` gives it a value, that is left out as well.
    """
    typed = of_command(sys.argv[1:])
    kept: list[str] = []
    while typed:
        word = typed.pop(0)
        assigned = word.removeprefix("--set=") if word != "--set" else typed[0] if typed else ""
        if word in without or (word == "--set" and _assigns(assigned, unset)):
            del typed[:1]
        elif word.startswith("--set=") and _assigns(assigned, unset):
            continue
        elif word.partition("=")[0] not in without:
            kept.append(word)
    if command is not None and kept:
        kept[0] = command
    return shlex.join(["toolkit", *kept])


def run_or_newest(run: str | None) -> tuple[str, str]:
    """Return a run and the command line; where none is given, the newest one, of which a note says so."""
    command = command_line()
    if run is not None:
        return run, command
    from toolkit import runs

    newest = str(runs.newest().path)
    note(f"The newest run is {newest}.")
    return newest, f"{command} {shlex.quote(newest)}"


def _assigns(assignment: str, key: str | None) -> bool:
    return assignment.partition("=")[0].strip() == key


def caller(observe: "Observe", command: str | None = None) -> "Caller":
    """Return the command line as the caller of a function.

    Args:
        observe: Called with each event.
        command: What reports name as the command; what was typed when None.
    """
    from toolkit.api.call.caller import Caller
    from toolkit.config.time_budget import process_start

    return Caller(observe, command_line() if command is None else command, process_start())
