"""One process at a time trains in a run directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import ConfigError

NAME = ".claim"  # a file that is locked while somebody trains there; what a killed process left is not


@contextmanager
def claimed(run: Path) -> Iterator[None]:
    """Keep a run directory to this process while the block lasts.

    Raises:
        ConfigError: Another process trains there.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(run / NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise busy(run) from None
    except (OSError, NotImplementedError):  # a file system without locks: all is as if it were alone
        pass
    try:
        yield
    finally:
        lock.release()
        (run / NAME).unlink(missing_ok=True)


def is_claimed(run: Path) -> bool:
    """Whether another process trains in a run directory."""
    if not (run / NAME).is_file():
        return False
    from filelock import FileLock, Timeout

    try:
        with FileLock(run / NAME, timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False


def busy(run: Path) -> ConfigError:
    """Say that another process trains in a run directory."""
    return ConfigError(f"Another process is training in {run}.", "Wait for it to end, or give another --output.")
