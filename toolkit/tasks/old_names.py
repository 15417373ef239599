"""What recipe files of older versions hold: modules under the names that they had then, and functions.

Only this module has them: a copied recipe keeps working, and a note gives the new name.
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolkit.errors import RecipeError

MODULES = {
    "toolkit.recipes": "toolkit.tasks.task",
    "toolkit.data.picture_folders": "toolkit.data.images.image_folders",
    "toolkit.data.arrays": "toolkit.data.images.image_arrays",
    "toolkit.data.pictures": "toolkit.data.images.image_columns",
    "toolkit.data.pixels": "toolkit.data.images.pixels",
    "toolkit.data.batch": "toolkit.data.batching.batch",
    "toolkit.data.rationales": "toolkit.data.batching.rationales",
    "toolkit.data.vocabulary": "toolkit.data.batching.vocabulary",
    "toolkit.data.languages": "toolkit.data.bitext.languages",
    "toolkit.data.pairs": "toolkit.data.bitext.pair_filters",
    "toolkit.data.markup": "toolkit.data.bitext.markup",
    "toolkit.data.catalogue": "toolkit.data.bitext.gettext_catalogue",
    "toolkit.data.columns": "toolkit.data.tables.columns",
    "toolkit.data.labels": "toolkit.data.tables.labels",
    "toolkit.data.read": "toolkit.data.sources.local_files",
    "toolkit.data.decode": "toolkit.data.formats.text_decoding",
    "toolkit.data.text_formats": "toolkit.data.formats.csv_files",
    "toolkit.evaluation.predict": "toolkit.inference.predict",
    "toolkit.evaluation.generate": "toolkit.inference.generate",
    "toolkit.evaluation.beam_search": "toolkit.inference.beam_search",
    "toolkit.evaluation.intervals": "toolkit.evaluation.statistics.intervals",
    "toolkit.settings": "toolkit.config.settings",
    "toolkit.config_files": "toolkit.config.files",
    "toolkit.training.augment": "toolkit.training.augmentation.augment",
    "toolkit.training.rand_augment": "toolkit.training.augmentation.rand_augment",
    "toolkit.training.objective": "toolkit.training.loss.objective",
    "toolkit.training.loop.objective": "toolkit.training.loss.objective",
    "toolkit.training.loop.attention_loss": "toolkit.training.loss.attention_loss",
    "toolkit.training.adaptation.class_balance": "toolkit.training.loss.class_balance",
    "toolkit.attention.sparse": "toolkit.attention.implementations.sparse",
}


def used(path: Path) -> dict[str, str]:
    """Return the old modules that a recipe file imports: old name → name of today."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, OSError, UnicodeDecodeError):
        return {}
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name: MODULES[name] for name in sorted(named & MODULES.keys())}


def provide(path: Path) -> list[str]:
    """Let a recipe file import modules by the names that they had when it was written.

    Returns:
        A sentence for each, with its present name.
    """
    notes = []
    for old, new in used(path).items():
        module = importlib.import_module(new)
        parent, _, name = old.rpartition(".")
        sys.modules.setdefault(old, module)
        setattr(importlib.import_module(parent), name, module)
        notes.append(f"{path.name} imports {old}, which is now {new}.")
    return notes


def check_read(read: Callable[..., Any] | None, path: Path) -> None:
    """Refuse a `read` of older versions, which adds to a list of notes.

    Raises:
        RecipeError: With the way to write it today.
    """
    if read is not None and len(inspect.signature(read).parameters) > 3:
        raise RecipeError(
            f"{path}: `read` has a fourth parameter, a list of notes; it returns them now.",
            "Write `def read(path, config, options)`, and return what a reader of the toolkit returns, or "
            "`toolkit.tasks.contract.Tables(parts, notes)`. Remove `notes` from the calls of such readers.",
            id="recipe.outdated",
        )
