"""Find the cases: every `case_NAME` function of every module in this package."""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

import tests.cases

Case = Callable[[Path], None]
_PREFIX = "case_"


def cases() -> dict[str, Case]:
    """Return "module/name" → function, in the order of modules and of lines."""
    collected: dict[str, Case] = {}
    for module in pkgutil.iter_modules(tests.cases.__path__):
        if module.name.startswith(("_", "test_")):
            continue
        members = vars(importlib.import_module(f"tests.cases.{module.name}"))
        for name, member in members.items():
            if name.startswith(_PREFIX) and callable(member):
                collected[f"{module.name}/{name.removeprefix(_PREFIX)}"] = member
    return collected
