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


def files(folder: Path, seen: set[Path] | None = None) -> Iterator[Path]:
    """Yield the visible files below a folder in the order of their names.

    Links to folders are followed, into each folder once.

    Args:
        folder: The folder.
        seen: Folders that are passed by.
    """
    seen = set() if seen is None else seen
    here = folder.resolve()
    if here in seen:
        return
    seen.add(here)
    for entry in visible(folder):
        if entry.is_dir():
            yield from files(entry, seen)
        else:
            yield entry
