"""One process at a time trains in a run directory, or writes an output."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import ConfigError

NAME = ".claim"  # a file that is locked while a process trains there; killed processes release it


@contextmanager
def claimed(run: Path) -> Iterator[None]:
    """Lock a run directory for this process within the block.

    Raises:
        ConfigError: Another process trains there.
    """
    with _locked(run / NAME, busy(run)):
        yield


@contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    """Lock a file or folder for writing by this process within the block; it need not exist yet.

    The lock is next to it, since the output may be replaced as a whole.

    Raises:
        ConfigError: Another process writes it.
    """
    output = output.absolute()
    with suppress(OSError):  # the writer will report the reason
        output.parent.mkdir(parents=True, exist_ok=True)
    message = f"Another process is writing {output}."
    lock = output.with_name(f".{output.name}{NAME}")
    with _locked(lock, ConfigError(message, "Wait for it to end, or give another --output.", id="output.in-use")):
        yield


@contextmanager
def _locked(lock: Path, taken: ConfigError) -> Iterator[None]:
    from filelock import FileLock, Timeout

    holder = FileLock(lock)
    try:
        holder.acquire(timeout=0)
    except Timeout:
        raise taken from None
    except (OSError, NotImplementedError):  # a file system without locks: continue without one
        pass
    try:
        yield
    finally:
        if holder.is_locked:  # removed before it is released, so that a later process creates a lock of its own
            lock.unlink(missing_ok=True)
        holder.release()


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
    """Return the error for a run directory in which another process trains."""
    return ConfigError(
        f"Another process is training in {run}.", "Wait for it to end, or give another --output.", id="run.in-use"
    )
