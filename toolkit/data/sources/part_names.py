"""The parts of a data set that names of files, folders and sheets indicate: train, validation and test."""

import re
from collections.abc import Collection, Mapping, Sequence

PARTS_BY_NAME = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
# A letter after the word makes it another word: value.csv and devices.csv are not parts.
_NAME = re.compile(rf"({'|'.join(PARTS_BY_NAME)})(?![a-z])", re.IGNORECASE)


def part_of(name: str) -> str | None:
    """Return the part of a data set that the name of a file, folder or sheet indicates, or None."""
    match = _NAME.match(name.strip())
    return PARTS_BY_NAME[match[1].lower()] if match else None


def are_parts(names: Collection[str]) -> bool:
    """Whether names are those of the parts of a data set, and not of classes: train, or test next to validation."""
    parts = {part_of(name) for name in names} - {None}
    return "train" in parts or len(parts) > 1


def by_part(names: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return part → the names that indicate it; empty where they are not those of parts."""
    named: dict[str, list[str]] = {}
    for name in names if are_parts(names) else ():
        if part := part_of(name):
            named.setdefault(part, []).append(name)
    return named
