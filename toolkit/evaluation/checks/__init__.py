"""The checks of an evaluation, a file each with a `CHECK`; the list of checks is this folder."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from toolkit.errors import RecipeError
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext


@cache
def all_checks() -> tuple[Check, ...]:
    """Return the check of each file, by the names of the files."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return tuple(module.CHECK for module in modules if hasattr(module, "CHECK"))


def findings(context: EvaluationContext) -> dict[str, Any]:
    """Return the sections of all checks that need no further predictions."""
    sections: dict[str, Any] = {}
    for check in all_checks():
        if check.wanted is None and check.applies(context.recipe.task):
            section = check.run(context)
            if section is not None:
                sections[check.key] = section
    if context.recipe.checks:
        sections["own"] = [own_section(check, context) for check in context.recipe.checks]
    return sections


def own_section(check: Callable[[EvaluationContext], Mapping[str, Any]], context: EvaluationContext) -> dict[str, Any]:
    """Return the section of a recipe's or user's own check.

    Raises:
        RecipeError: The check returned something else.
    """
    name, made = str(getattr(check, "__name__", "check")), check(context)
    columns = list(map(str, made.get("columns", ()))) if isinstance(made, Mapping) else []
    rows = [list(map(_cell, row)) for row in made.get("rows", ())] if isinstance(made, Mapping) else []
    if not isinstance(made, Mapping) or any(len(row) != len(columns) for row in rows):
        raise RecipeError(
            f"The check {name} did not return a section.",
            'Return {"title": …, "text": …, "columns": […], "rows": [[…]]}, with as many cells in each row as columns.',
            id="recipe.own-part",
        )
    title = str(made.get("title", name.replace("_", " ").capitalize()))
    return {"name": name, "title": title, "text": str(made.get("text", "")), "columns": columns, "rows": rows}


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)
