"""Parts that the user names beside a recipe: a metric, a loss, an augmentation, a reader, a check, a form of attention.

They are functions or values of modules, or of files that the command names; nothing in a folder can name one. A form of
attention of an installed package (an entry point) is known by its name, as a recipe is.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from toolkit import choices
from toolkit.config.own_parts import GROUP, OwnPartsConfig, installed
from toolkit.errors import RecipeError
from toolkit.metrics import Metric, RankMetric
from toolkit.tasks import catalogue
from toolkit.tasks.contract import Recipe

PREFIX = "toolkit_own_"  # of the modules that files become


def added(recipe: Recipe, own: OwnPartsConfig) -> Recipe:
    """Return a recipe with the user's own parts; the recipe itself where there are none.

    Args:
        recipe: The task.
        own: Names of the parts.

    Raises:
        RecipeError: A part cannot be imported, or is not what it should be.
    """
    if own == OwnPartsConfig():
        return recipe
    parts: dict[str, Any] = {
        "own_metrics": tuple(metric(name, recipe) for name in own.metrics),
        "checks": (*recipe.checks, *(function(name, "checks") for name in own.checks)),
    }
    for key in ("loss", "augmentation"):
        name = getattr(own, key)
        if name is not None:
            parts[key] = function(name, key)
    if own.read is not None:
        parts["read"] = _first_of(function(own.read, "read"), recipe.read)
    for name in own.attention:
        short = name.rpartition(":")[2].rpartition(".")[2]
        if short in choices.ATTENTION_FORMS:
            raise RecipeError(
                f"The form of attention {name} is named like one of the toolkit.", "Rename it.", id="recipe.own-part"
            )
        choices.OWN_ATTENTION[short] = function(name, "attention")
    metrics = (*recipe.metrics, *parts["own_metrics"])
    return replace(recipe, metrics=metrics, **parts)


def part(name: str, kind: str) -> Any:
    """Import a part.

    Args:
        name: MODULE:NAME, FILE.py:NAME, or the name of an entry point.
        kind: Key of the configuration.

    Raises:
        RecipeError: The module cannot be imported, or has no such name.
    """
    if ":" not in name:
        known = installed(kind)
        if name not in known:
            raise RecipeError(
                f"No installed package has an entry point {name} in the group `{GROUP}.{kind}`.",
                f"They have {', '.join(known) or 'none'}. Name a function as FILE.py:NAME or MODULE:NAME.",
                id="recipe.own-part",
            )
        name = known[name].value.partition("[")[0].strip()
    where, _, attribute = name.rpartition(":")
    module = _of_file(Path(where)) if where.endswith(".py") else _of_module(where)
    if module.__file__ is not None:
        catalogue.remember_code(Path(module.__file__))
    value: Any = module
    for piece in attribute.split("."):
        if not hasattr(value, piece):
            raise RecipeError(
                f"{where} has no `{attribute}`.",
                f"It defines {', '.join(n for n in vars(module) if not n.startswith('_')) or 'nothing'}.",
                id="recipe.own-part",
            )
        value = getattr(value, piece)
    return value


def function(name: str, kind: str) -> Callable[..., Any]:
    """Import a function; arguments as of `part`.

    Raises:
        RecipeError: It cannot be imported, or is none.
    """
    found: Callable[..., Any] = part(name, kind)
    if not callable(found):
        raise RecipeError(f"{name} is {found!r:.100}, and no function.", "Name a function.", id="recipe.own-part")
    return found


def metric(name: str, recipe: Recipe) -> Metric | RankMetric:
    """Import a metric; a function becomes the mean of its numbers over the rows.

    The attributes `title`, `unit`, `value_type` and `higher_is_better` of the function say how it is computed and
    shown.

    Raises:
        RecipeError: It cannot be imported, or is none.
    """
    found = part(name, "metrics")
    if isinstance(found, Metric | RankMetric):
        return found
    if not callable(found):
        raise RecipeError(
            f"{name} is {found!r:.100}.", "Name a `toolkit.metrics.Metric`, or a function.", id="recipe.own-part"
        )
    short = str(getattr(found, "__name__", name.rpartition(":")[2]))

    def statistics(predictions: Sequence[Any], references: Sequence[Any], _names: Sequence[str]) -> Any:
        values = np.asarray(found(predictions, references), np.float64)
        if values.shape != (len(references),):
            raise RecipeError(
                f"The metric {name} returned an array of shape {values.shape} for {len(references):,} rows.",
                "Return one number for each row.",
                id="recipe.own-part",
            )
        return np.stack([values, np.ones_like(values)], axis=1)

    first = recipe.metrics[0]
    usual = first.value_type if isinstance(first, Metric | RankMetric) else "int64"
    return Metric(
        short,
        str(getattr(found, "title", short.replace("_", " ").capitalize())),
        statistics,
        lambda sums: sums[..., 0] / sums[..., 1],
        value_type=getattr(found, "value_type", usual),
        unit=getattr(found, "unit", "value"),
        higher_is_better=bool(getattr(found, "higher_is_better", True)),
    )


def _first_of(own: Callable[..., Any], usual: Callable[..., Any] | None) -> Callable[..., Any]:
    """Return a reader that asks the recipe's own where the user's does not read a file."""

    def read(*given: Any) -> Any:
        tables = own(*given)
        return usual(*given) if tables is None and usual is not None else tables

    return read


def _of_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RecipeError(
            f"The module {name} cannot be imported: {error}.",
            "Install its package, or name a file: FILE.py:NAME.",
            id="recipe.own-part",
        ) from error


def _of_file(path: Path) -> ModuleType:
    """Run a file as a module, once in a process."""
    path = path.resolve()
    name = f"{PREFIX}{path.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    specification = importlib.util.spec_from_file_location(name, path) if path.is_file() else None
    if specification is None or specification.loader is None:
        raise RecipeError(f"There is no file {path}.", "Check the path.", id="recipe.file-missing")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    catalogue.remember_code(path)
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
