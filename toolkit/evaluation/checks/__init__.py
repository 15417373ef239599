"""The checks of an evaluation, a file each with a `CHECK`; the list of checks is this folder."""

import importlib
import pkgutil
from functools import cache
from typing import Any

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
    sections = {}
    for check in all_checks():
        if check.wanted is None and check.applies(context.recipe.task):
            section = check.run(context)
            if section is not None:
                sections[check.key] = section
    return sections
