"""What is refused of a run directory, which may have come from anybody."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import SourceError, ToolkitError

COPY_AGAIN = "The folder is damaged or incomplete; copy it again."


@contextmanager
def damage(file: Path) -> Iterator[None]:
    """Turn what happens when a file or folder that the toolkit wrote holds something else into a message."""
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
    """Whether a path leads to a pipe, a socket or a device: one that is read may wait, or go on, for ever."""
    try:
        return stat.S_IFMT(path.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR)
    except (OSError, ValueError):  # a link into nothing; whoever reads it says so
        return False


def check_no_devices(folder: Path) -> None:
    """Refuse a folder with a pipe, a socket or a device in it; what lies in folders of it is not looked at.

    Raises:
        SourceError: With what it is.
    """
    for entry in sorted(folder.iterdir()):
        if is_device(entry):
            raise SourceError(
                f"{entry} is a pipe, a socket or a device, not a file.",
                "Remove it; it is not data.",
                id="run.special-file",
            )


def check_links(run: Path) -> None:
    """Refuse a run directory with a link that leads out of it, since what is written there would land anywhere.

    Pipes and devices in it are refused as well. Links of the model are left out: it is only read, and caches keep its
    files elsewhere.

    Raises:
        SourceError: With the link, or what is no file.
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
    """Return the refusal of a link that leads out of its run directory."""
    return SourceError(
        f"{link} is a link that points outside the run directory.",
        "Replace it with a copy of its target, or remove it.",
        id="run.link-outside",
    )


def leads_into(home: Path, link: Path) -> bool:
    """Whether a link leads to something in a folder, which is given as it is without links."""
    try:
        return link.resolve().is_relative_to(home)
    except (OSError, RuntimeError):  # in a circle
        return False
