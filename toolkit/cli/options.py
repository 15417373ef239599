"""Options that several commands share, and how they become layers of the configuration."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer


def complete_recipe(incomplete: str) -> list[str]:
    """Complete the name of a recipe in the shell."""
    from toolkit.tasks import catalogue

    return [name for name in catalogue.available() if name.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Complete the alias of a model in the shell."""
    from toolkit.checkpoints import ALIASES

    return [name for name in (*ALIASES, "auto") if name.startswith(incomplete)]


Recipe = Annotated[
    str, typer.Argument(help="Name of a recipe, or the path of a recipe file.", autocompletion=complete_recipe)
]
RecipeOfModel = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="The task of a model that was not trained here, or the file of the recipe that it was trained with.",
        autocompletion=complete_recipe,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Alias, Hub id (org/name[@revision]), folder or pkg://package/path; `finetune` chooses with auto, or "
        "auto:NAME,NAME among some.",
        autocompletion=complete_model,
    ),
]
BatchSize = Annotated[int | None, typer.Option("--batch-size", help="Examples an optimizer step sees.")]
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
Glossary = Annotated[
    str | None, typer.Option("--glossary", help="CSV or TSV of terms and their translations, to check what is written.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of everything random.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the checkpoint.")
]


_LETS_CODE_RUN = {
    "trust_remote_code": "--trust-remote-code",
    "allow_pickle": "`--set loading.allow_pickle=true`",
}


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

    Raises:
        ConfigError: A flag and `--set` give one key different values, a file or text cannot be read, or a file lets
            code run.
    """
    from toolkit.config import leaves, merge
    from toolkit.config.files import parse_assignments, read_file
    from toolkit.errors import ConfigError
    from toolkit.tasks import catalogue

    found: list[tuple[str, dict[str, Any]]] = []
    if preset:
        found.append((f"preset {preset}", _without_recipe(read_file(catalogue.find_preset(preset)))))
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
    assigned = dict(leaves(found[-1][1])) if assignments else {}
    for path, value in leaves(given):
        if path in assigned and assigned[path] != value:
            raise ConfigError(
                f"`{'.'.join(path)}` is given twice: {value!r} by a flag, and {assigned[path]!r} by --set.",
                "Give it once.",
                id="config.given-twice",
            )
    if config_file:
        _check_file(config_file, found, assigned.keys() | {key for key, _ in leaves(given)})
    return [*found, ("flag", given)]


def _check_file(file: Path, found: list[tuple[str, dict[str, Any]]], typed: Collection[tuple[str, ...]]) -> None:
    """Refuse a file that lets code run where that was not typed, too: it may be of a run that came from elsewhere."""
    from toolkit.errors import ConfigError

    loading = dict(found)[f"file {file}"].get("loading")
    for key, option in _LETS_CODE_RUN.items():
        if isinstance(loading, dict) and loading.get(key) and ("loading", key) not in typed:
            raise ConfigError(
                f"{file} sets `loading.{key}`, which lets code of a checkpoint run. Only what is typed does.",
                f"If you trust that code, add {option} to the command; else remove the key from the file.",
                id="config.trust-in-file",
            )


def merged(flags: dict[str, Any], assignments: list[str] | None) -> dict[str, Any]:
    """Return flags and assignments as one nested mapping, to be laid over what is stored with a model."""
    from toolkit.config import merge

    values: dict[str, Any] = {}
    for _, layer in layers(flags, assignments=assignments):
        values = merge(values, layer)
    return values


def training_flags(
    *,
    model: str | None,
    data: str | None,
    batch_size: int | None,
    max_length: int | None,
    seed: int | None,
    text_column: str | None,
    label_column: str | None,
    trust_remote_code: bool,
) -> dict[str, Any]:
    """Return the flags that every training command takes, as dotted key → value for `layers`."""
    return {
        "model": model,
        "data.source": data,
        "data.max_length": max_length,
        "data.columns.text": text_column,
        "data.columns.label": label_column,
        "training.batch_size": batch_size,
        "training.seed": seed,
        "loading.trust_remote_code": trust_remote_code or None,
    }


def _without_recipe(values: dict[str, Any]) -> dict[str, Any]:
    """A preset says which recipe it is for; the command line names the recipe itself."""
    return {key: value for key, value in values.items() if key != "recipe"}


def command_line(command: str | None = None, without: Sequence[str] = (), unset: str | None = None) -> str:
    """Return the command as it was typed; no option of the toolkit takes a secret.

    Args:
        command: Stands in the place of the one that was typed.
        without: Options that are left out, each with its value.
        unset: A key of the configuration; where `--set` gives it a value, that is left out as well.
    """
    import shlex
    import sys

    typed = sys.argv[1:]
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


def _assigns(assignment: str, key: str | None) -> bool:
    return assignment.partition("=")[0].strip() == key


def own_recipe(recipe: str) -> list[str]:
    """Return the option that later commands need to name a recipe again: none for one that is installed."""
    from toolkit.tasks import catalogue

    return [] if recipe in catalogue.available() else ["--recipe", recipe]


def names(given: str | None, known: tuple[str, ...]) -> list[str] | None:
    """Return the names in a text with commas; "all" means every known one, and no text none at all.

    Raises:
        ConfigError: A name is not known.
    """
    import difflib

    from toolkit.errors import ConfigError

    if given is None:
        return None
    found = list(known) if given.strip() == "all" else [name.strip() for name in given.split(",") if name.strip()]
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f" Did you mean `{near[0]}`?" if near else ""
            raise ConfigError(
                f"There is no `{name}`.{guess}",
                f"Give some of {', '.join(known)}, with commas, or all.",
                id="config.unknown-choice",
            )
    return found
