"""Load a recipe by name or path, and refuse one that lacks a part or defines an unknown name."""

import ast
import difflib
import importlib.util
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from toolkit.data.batching import batch
from toolkit.data.targets import target_kind
from toolkit.errors import RecipeError
from toolkit.metrics import Metric, RankMetric
from toolkit.metrics.base import ValueType
from toolkit.tasks import catalogue, old_names
from toolkit.tasks.contract import PARTS, REQUIRED, Recipe
from toolkit.tasks.inputs import audio, image, text, words
from toolkit.tasks.inputs import phrases as phrases_
from toolkit.tasks.targets import generated_text, single_label, token_labels
from toolkit.tasks.task import Auxiliary, Column, Input, Kind, Target, Task

# Kinds by the names that recipe files of older versions give their columns.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        *(text.TEXT, words.WORDS, image.IMAGE, audio.AUDIO, phrases_.PHRASES),
        *(single_label.SINGLE_LABEL, token_labels.TOKEN_LABELS, generated_text.GENERATED_TEXT),
    )
}


def load(name: str, target: str | None = None) -> Recipe:
    """Import the recipe `name` and check that it defines every required part and no unknown one.

    Args:
        name: Of the recipe, or the path of its file.
        target: The kind of its target, one of its `targets`; the usual one when None.

    Raises:
        RecipeError: There is no such recipe, it cannot be imported, a part is missing, or a name is unknown.
        ConfigError: The recipe does not take this kind of target.
    """
    path = catalogue.find(name)
    recipe = _load(path, path.read_bytes())  # a file that was changed meanwhile is another recipe
    if target is not None:
        target_kind.check(recipe, target)
    return recipe.for_target(target)


@cache
def _load(path: Path, _content: bytes) -> Recipe:
    module, notes = _imported(path)
    _check_names(path)
    missing = [part for part in REQUIRED if not hasattr(module, part)]
    if missing:
        raise _incomplete(path, missing)
    held = {PARTS[name]: getattr(module, name) for name in PARTS if hasattr(module, name)}
    old_names.check_read(held.get("read"), path)
    _check_metrics(held["metrics"], path)
    held["columns"] = tuple(_with_kind(column, path) for column in held["columns"])
    _check_columns(held["columns"], path)
    by_target = Task(held["columns"]).target.kind.predictions
    if by_target is None and not {"predictions", "generate"} & held.keys():
        raise _incomplete(path, ["predictions"])
    defaults = {"collate": batch.collate, **({"predictions": by_target} if by_target is not None else {})}
    held = defaults | held
    return Recipe(file=path, about=module.__doc__ or "", notes=notes, **held)


def _incomplete(path: Path, missing: Sequence[str]) -> RecipeError:
    return RecipeError(
        f"The recipe {path} lacks {', '.join(missing)}.",
        "`toolkit recipes copy sentiment` writes a complete one to start from.",
        id="recipe.incomplete",
    )


def _imported(path: Path) -> tuple[ModuleType, list[str]]:
    specification = importlib.util.spec_from_file_location(f"toolkit_recipe_{path.stem}", path)
    if specification is None or specification.loader is None:
        raise RecipeError(
            f"{path} cannot be imported.",
            "A recipe is a Python file; see `toolkit recipes copy`.",
            id="recipe.cannot-run",
        )
    module: ModuleType = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    if path.parent != catalogue.folder():
        catalogue.remember_code(path)
    try:
        notes = old_names.provide(path)
        specification.loader.exec_module(module)
    except Exception as error:
        del sys.modules[specification.name]
        line = next(
            (f.lineno for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == str(path)), None
        )
        raise RecipeError(
            f"{path}{f', line {line},' if line else ''} cannot be run: {type(error).__name__}: {error}.",
            "Correct the recipe file.",
            id="recipe.cannot-run",
        ) from error
    return module, notes


def _with_kind(column: Column, path: Path) -> Column:
    """Return the column with its kind itself, where a recipe file of an older version gives the name of one."""
    if isinstance(column.kind, Input | Target | Auxiliary):
        return column
    if column.kind not in KINDS:
        raise RecipeError(
            f"{path}: the column {column.role} is of the unknown kind `{column.kind}`.",
            f"Kinds: {', '.join(KINDS)}; or a kind of your own from `toolkit.tasks.task`.",
            id="recipe.unknown-kind",
        )
    return replace(column, kind=KINDS[column.kind])


def _check_columns(columns: Sequence[Column], path: Path) -> None:
    """Refuse columns without exactly one target, and a target that contradicts itself."""
    targets = [column.role for column in columns if isinstance(column.kind, Target)]
    if len(targets) != 1:
        raise RecipeError(
            f"{path}: COLUMNS has {len(targets)} targets{': ' if targets else ''}{', '.join(targets)}.",
            "A recipe predicts one column; give it one whose kind is a target, such as SINGLE_LABEL.",
            id="recipe.targets",
        )
    kind = next(column.kind for column in columns if isinstance(column.kind, Target))
    if (kind.single or kind.exclusive or kind.ordered) and not kind.classes:
        raise RecipeError(
            f"{path}: the target `{kind.name}` has one class for each row or word, but no classes=True.",
            "Add classes=True, or leave out single, exclusive and ordered for a target that is not made of classes.",
            id="recipe.contradictory-target",
        )


def _check_metrics(metrics: Any, path: Path) -> None:
    """Refuse what is no list of metrics, before anything is trained for it."""
    listed = isinstance(metrics, list | tuple) and bool(metrics)
    wrong = [] if not listed else [m for m in metrics if not isinstance(m, str | Metric | RankMetric)]
    types = get_args(ValueType)
    if listed and not wrong:
        wrong = [m.value_type for m in metrics if not isinstance(m, str) and m.value_type not in types]
    if not listed or wrong:
        given = f"has {wrong[0]!r}" if wrong else f"is {metrics!r}"
        raise RecipeError(
            f"{path}: METRICS {given}.",
            "METRICS is a tuple of names of metrics or of `toolkit.metrics.Metric`, whose value_type is one of "
            f"{', '.join(types)}; a tuple of one needs a comma behind it.",
            id="recipe.metrics",
        )


def _check_names(path: Path) -> None:
    """Refuse a public name of the file that is not part of a recipe and that nothing in the file uses.

    Such a name is probably a misspelt part, which would be ignored silently.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for name in _defined(tree):
        if name in PARTS or name in used or name.startswith("_"):
            continue
        near = difflib.get_close_matches(name, list(PARTS), n=1, cutoff=0.5)
        guess = f" Did you mean `{near[0]}`?" if near else ""
        raise RecipeError(
            f"{path} defines `{name}`, which is not a part of a recipe and is unused in the file.{guess}",
            f"Parts: {', '.join(PARTS)}. Begin the names of helpers with an underscore.",
            id="recipe.unknown-part",
        )


def _defined(tree: ast.Module) -> list[str]:
    """Return the names that a file defines at its top level, without those that it imports."""
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets: Sequence[Any] = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names
