"""Options that several commands share, and how they become layers of the configuration."""

from pathlib import Path
from typing import Annotated, Any

import typer

Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Alias, Hub id (org/name[@revision]), folder or pkg://package/path.")
]
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
    str | None, typer.Option("--preset", help="Named values that come with the toolkit; see `toolkit recipes list`.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of values.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE for any key of `toolkit recipes show`; repeatable.")
]
TextColumn = Annotated[str | None, typer.Option("--text-column", help="Column that holds the text.")]
LabelColumn = Annotated[str | None, typer.Option("--label-column", help="Column that holds the label.")]
MaxLength = Annotated[int | None, typer.Option("--max-length", help="Tokens an example may have.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the checkpoint.")
]


def layers(
    flags: dict[str, Any],
    preset: str | None = None,
    config_file: Path | None = None,
    assignments: list[str] | None = None,
) -> list[tuple[str, dict[str, Any]]]:
    """Return the user's layers of the configuration, lowest first.

    Args:
        flags: Dotted key → value; None means the flag was not given.
        preset: Name of a preset.
        config_file: YAML file.
        assignments: `--set` texts.
    """
    from toolkit import recipes
    from toolkit.config import merge, parse_assignments, read_file

    found: list[tuple[str, dict[str, Any]]] = []
    if preset:
        found.append((f"preset {preset}", _without_recipe(read_file(recipes.find_preset(preset)))))
    if config_file:
        found.append((f"file {config_file}", _without_recipe(read_file(config_file))))
    if assignments:
        found.append(("--set", parse_assignments(assignments)))
    given: dict[str, Any] = {}
    for dotted, value in flags.items():
        if value is not None:
            nested: Any = value
            for key in reversed(dotted.split(".")):
                nested = {key: nested}
            given = merge(given, nested)
    return [*found, ("flag", given)]


def _without_recipe(values: dict[str, Any]) -> dict[str, Any]:
    """A preset says which recipe it is for; the command line names the recipe itself."""
    return {key: value for key, value in values.items() if key != "recipe"}


def command_line() -> str:
    """Return the command as it was typed; no option of the toolkit takes a secret."""
    import shlex
    import sys

    return shlex.join(["toolkit", *sys.argv[1:]])


def complete_recipe(incomplete: str) -> list[str]:
    """Complete the name of a recipe in the shell."""
    from toolkit import recipes

    return [name for name in recipes.available() if name.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Complete the alias of a model in the shell."""
    from toolkit.models import ALIASES

    return [name for name in ALIASES if name.startswith(incomplete)]
