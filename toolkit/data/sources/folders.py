"""The data files of a folder."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from toolkit.runs.trust import is_device

# Files that operating systems add to folders and archives.
_OF_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx"}


def visible(folder: Path) -> list[Path]:
    """Return what a folder holds, in the order of the names, without hidden files, files of the system, and devices."""
    with os.scandir(folder) as entries:  # which usually has the file type
        return sorted(folder / entry.name for entry in entries if not hidden(entry.name) and not _is_device(entry))


def _is_device(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):  # a circular link
        if entry.is_file() or entry.is_dir():
            return False
    return is_device(Path(entry.path))


def hidden(name: str) -> bool:
    """Whether a file or folder is no data by its name: .git, ._1.jpg, ~$open.xlsx, __MACOSX, Thumbs.db."""
    return name.startswith((".", "~$")) or name.lower() in _OF_SYSTEMS


def files(folder: Path) -> Iterator[Path]:
    """Yield the visible files below a folder in the order of their names.

    Links to folders are followed, except those to a parent folder.
    """
    here = folder.resolve()
    yield from _below(folder, frozenset({here, *here.parents}))


def _below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    for entry in visible(folder):
        if not entry.is_dir():
            yield entry
        elif (inner := entry.resolve()) not in above:
            yield from _below(entry, above | {inner})
