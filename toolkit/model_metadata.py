"""The values that a model folder sets for later commands, and those that it may not set.

A folder may come from anybody. The file `toolkit.json` next to its weights becomes a layer of the configuration, so it
may hold the values for predictions like those in training, and none that decide what may run, be read or be
written on this machine: only the user sets `loading` and names files of Python code.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.config import Key, leaves
from toolkit.config.settings import EvaluationConfig
from toolkit.errors import ModelError, RecipeError
from toolkit.tasks import catalogue

FILES = ("glossary", "lists")  # of `evaluation`: names of files, which are not opened because a folder names them
VALUES = {
    ("attention",),
    ("positions",),
    ("data", "max_length"),
    ("data", "columns"),
    ("data", "target"),
    ("data", "label_map"),
    ("data", "group_column"),
    ("training", "seed"),
    ("training", "acceleration"),
    ("options",),
    *(("evaluation", key) for key in EvaluationConfig.model_fields),
}
_FACTS = {
    "recipe": str,
    "labels": list,
    "inputs": dict,
    "calibration": dict,
    "pruned_heads": dict,
}  # entries other than values of the configuration


def read(folder: Path) -> dict[str, Any]:
    """Return the values stored next to the weights in `folder`; empty for a model of another program.

    Raises:
        SourceError: The file is damaged.
        ModelError: It sets a key that a folder may not set.
    """
    file = folder / runs.CARD
    if not file.is_file():
        return {}
    card = runs.read_object(file)
    for name, kind in _FACTS.items():
        if not isinstance(card.get(name, kind()), kind):
            raise _damaged(file, name)
    if not _is_pruning(card.get("pruned_heads", {})):
        raise _damaged(file, "pruned_heads")
    if not all(map(_is_input, card.get("inputs", {}).values())):
        raise _damaged(file, "inputs")
    settings = {name: value for name, value in card.items() if name not in _FACTS}
    refused = [".".join(key) for key, value in leaves(settings) if not _is_allowed(key, value)]
    if refused:
        raise ModelError(
            f"{file} sets `{refused[0]}`, which a model folder may not set.",
            "Remove it there; only the options of the command decide what a model may do on this machine.",
            id="model.card-forbidden-key",
        )
    return card


def _is_allowed(key: Key, value: Any) -> bool:
    return any(key[: len(allowed)] == allowed or (value == {} and allowed[: len(key)] == key) for allowed in VALUES)


def _is_pruning(listed: Mapping[str, Any]) -> bool:
    """Whether it is layer → numbers of its heads."""
    return all(
        str(layer).isdecimal() and isinstance(heads, list) and all(type(head) is int for head in heads)
        for layer, heads in listed.items()
    )


def _is_input(entry: Any) -> bool:
    """Whether it says of an input whether it is required, and what was learned from it."""
    return isinstance(entry, dict) and isinstance(entry.get("learned", {}), dict)


def _damaged(file: Path, name: str) -> ModelError:
    return ModelError(
        f"`{name}` in {file} has an invalid value.",
        "The folder is damaged; copy it again.",
        id="model.card-damaged",
    )


def values(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the configuration that a card sets; names of files are left out."""
    shown = {name: value for name, value in card.items() if name not in _FACTS}
    if isinstance(shown.get("evaluation"), dict):
        shown["evaluation"] = {key: value for key, value in shown["evaluation"].items() if key not in FILES}
    return shown


def remarks(card: Mapping[str, Any], settings: EvaluationConfig) -> list[str]:
    """Note which files of the run's evaluation are not used now, because the user did not name them."""
    settings_stored = card.get("evaluation") or {}
    named = [(key, settings_stored.get(key)) for key in FILES if getattr(settings, key) is None]
    return [
        f"The run used {file} as `evaluation.{key}`. Files that a folder names are not opened: give it again with "
        f"`--set evaluation.{key}=FILE`."
        for key, file in named
        if file is not None
    ]


def recipe_of(card: Mapping[str, Any], folder: Path, typed: str | None, *, trusted: bool) -> str | None:
    """Return the name of the recipe for a model; None where neither the user nor the card names one.

    Args:
        card: Of the model.
        folder: Of the model.
        typed: The user's option.
        trusted: Whether the user lets code that comes with the model run.

    Raises:
        RecipeError: The card names a file of code, or a recipe that is not installed.
    """
    home = [folder, *([folder.parent] if runs.is_run(folder.parent) else [])]
    return installed(card.get("recipe"), f"The model in {folder}", home, typed, trusted=trusted)


def installed(named: Any, whose: str, folders: list[Path], typed: str | None, *, trusted: bool = False) -> str | None:
    """Return the recipe to use where a file names one: what the user typed, now or earlier in this process, or a name
    among those installed.

    Args:
        named: By the file.
        whose: What the file belongs to, as the start of a sentence.
        folders: Where a copy of the recipe may be.
        typed: The user's option.
        trusted: Whether the user lets that copy run.

    Raises:
        RecipeError: It is a file of code, or not installed.
    """
    if typed is not None:
        catalogue.remember(typed)
    if typed is not None or named is None or str(named) in catalogue.available():
        return typed or named
    name = Path(str(named)).name
    copies = [folder / name for folder in folders if name.endswith(".py") and (folder / name).is_file()]
    copies = [copy for copy in copies if not copy.is_symlink()]  # which would lead to code of this machine
    earlier = catalogue.remembered(str(named), copies)
    if earlier is not None:
        return str(earlier)
    if copies and trusted:
        return str(copies[0])
    if copies:
        fix = f"The run keeps a copy of it: read it, and add `--recipe {shlex.quote(str(copies[0]))}` to the command."
    else:
        fix = "Add `--recipe FILE` to the command."
    raise RecipeError(
        f"{whose} was trained with the recipe {named}, which is not installed. Code that a folder names is not run.",
        fix,
        id="recipe.not-installed",
    )
