"""What is refused of a run directory, which may have come from anybody."""

import os
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
            f"{file} holds something else than was written there ({type(error).__name__}).", COPY_AGAIN
        ) from error


def check_links(run: Path) -> None:
    """Refuse a run directory with a link that leads out of it: what is written there would land anywhere.

    The model is left out: it is only read, and caches keep its files elsewhere.

    Raises:
        SourceError: With the link.
    """
    home = run.resolve()
    for folder, folders, files in os.walk(run):
        if Path(folder) == run and "model" in folders:
            folders.remove("model")
        for link in (path for name in (*folders, *files) if (path := Path(folder, name)).is_symlink()):
            if not _leads_into(home, link):
                raise SourceError(
                    f"{link} is a link that leads out of the run directory.",
                    "Put what it leads to in its place, or remove it.",
                )


def _leads_into(home: Path, link: Path) -> bool:
    try:
        return link.resolve().is_relative_to(home)
    except (OSError, RuntimeError):  # in a circle
        return False
