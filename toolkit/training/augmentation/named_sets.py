"""Sets of augmentations by name, for pictures and for recordings."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

Changes = TypeVar("Changes")


def chosen(sets: Mapping[str, Changes], name: str, given: Mapping[str, Any]) -> Changes:
    """Return a named set of augmentations with the given values instead of its own; None keeps the set's."""
    held: Any = sets[name]
    own = {field.name: given[field.name] for field in fields(held) if given.get(field.name) is not None}
    changes: Changes = type(held)(**{**vars(held), **own})
    return changes
