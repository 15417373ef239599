"""One process at a time trains in a run directory, or writes an output."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import ConfigError

NAME = ".claim"  # a file that is locked while somebody trains there; what a killed process left is not


@contextmanager
def claimed(run: Path) -> Iterator[None]:
    """Keep a run directory to this process while the block lasts.

    Raises:
        ConfigError: Another process trains there.
    """
    with _locked(run / NAME, busy(run)):
        yield


@contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    """Keep a file or folder that is to be written to this process while the block lasts; it need not be there yet.

    The lock lies beside it, since the output may be put in its place whole.

    Raises:
        ConfigError: Another process writes it.
    """
    output = output.absolute()
    with suppress(OSError):  # the writer will say why
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
    except (OSError, NotImplementedError):  # a file system without locks: all is as if it were alone
        pass
    try:
        yield
    finally:
        if holder.is_locked:  # removed first: whoever comes later makes a lock of its own, and nobody holds this one
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
    """Say that another process trains in a run directory."""
    return ConfigError(
        f"Another process is training in {run}.", "Wait for it to end, or give another --output.", id="run.in-use"
    )
