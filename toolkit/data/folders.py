"""What a folder holds, as far as it is data."""

from collections.abc import Iterator
from pathlib import Path

# What systems put into folders, and into archives of them.
_OF_SYSTEMS = {"thumbs.db", "desktop.ini", "__macosx"}


def visible(folder: Path) -> list[Path]:
    """Return what a folder holds, but for hidden files and what systems leave, in the order of the names."""
    return sorted(entry for entry in folder.iterdir() if not hidden(entry.name))


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
