"""What is refused in a run directory, which may come from an untrusted source."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import SourceError, ToolkitError

COPY_AGAIN = "The folder is damaged or incomplete; copy it again."


@contextmanager
def damage(file: Path) -> Iterator[None]:
    """Convert exceptions from changed files or folders of the toolkit to one error."""
    try:
        yield
    except ToolkitError:
        raise
    except Exception as error:
        raise SourceError(
            f"{file} does not hold what was written there ({type(error).__name__}).",
            COPY_AGAIN,
            id="run.damaged",
        ) from error


def is_device(path: Path) -> bool:
    """Whether a path leads to a pipe, a socket or a device, of which reading may never end."""
    try:
        return stat.S_IFMT(path.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR)
    except (OSError, ValueError):  # a broken link; its reader reports it
        return False


def check_no_devices(folder: Path) -> None:
    """Refuse a folder with a pipe, a socket or a device in it; its subfolders are not checked.

    Raises:
        SourceError: With its type.
    """
    for entry in sorted(folder.iterdir()):
        if is_device(entry):
            raise SourceError(
                f"{entry} is a pipe, a socket or a device, not a file.",
                "Remove it; it is not data.",
                id="run.special-file",
            )


def check_links(run: Path) -> None:
    """Refuse a run directory with a link to the outside, through which files elsewhere could be overwritten.

    Pipes and devices in it are refused as well. Links of the model are allowed: it is only read, and caches store its
    files elsewhere.

    Raises:
        SourceError: With the link, pipe or device.
    """
    home = run.resolve()
    for folder, folders, files in os.walk(run):
        check_no_devices(Path(folder))
        if Path(folder) == run and "model" in folders:
            folders.remove("model")
        for link in (path for name in (*folders, *files) if (path := Path(folder, name)).is_symlink()):
            if not leads_into(home, link):
                raise leads_out(link)


def leads_out(link: Path) -> SourceError:
    """Return the error for a link that leads out of its run directory."""
    return SourceError(
        f"{link} is a link that points outside the run directory.",
        "Replace it with a copy of its target, or remove it.",
        id="run.link-outside",
    )


def leads_into(home: Path, link: Path) -> bool:
    """Whether a link leads into a folder, which is given without links."""
    try:
        return link.resolve().is_relative_to(home)
    except (OSError, RuntimeError):  # a circular link
        return False
