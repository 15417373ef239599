"""What a folder holds, as far as it is data."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from toolkit.runs.trust import is_device

# What systems put into folders, and into archives of them.
_OF_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx"}


def visible(folder: Path) -> list[Path]:
    """Return what a folder holds, in the order of the names, but for hidden files, what systems leave, and devices."""
    with os.scandir(folder) as entries:  # which mostly knows of what kind they are
        return sorted(folder / entry.name for entry in entries if not hidden(entry.name) and not _is_device(entry))


def _is_device(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):  # a link in a circle
        if entry.is_file() or entry.is_dir():
            return False
    return is_device(Path(entry.path))


def hidden(name: str) -> bool:
    """Whether a file or folder is no data by its name: .git, ._1.jpg, __MACOSX, Thumbs.db."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def files(folder: Path) -> Iterator[Path]:
    """Yield the visible files below a folder in the order of their names.

    Links to folders are followed, but for those that lead back to a folder above.
    """
    here = folder.resolve()
    yield from _below(folder, frozenset({here, *here.parents}))


def _below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    for entry in visible(folder):
        if not entry.is_dir():
            yield entry
        elif (inner := entry.resolve()) not in above:
            yield from _below(entry, above | {inner})
