"""Atomic writing of files, JSON and Parquet files, and errors of the disk."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolkit.config.files import is_deep
from toolkit.errors import RunError, SourceError
from toolkit.runs.trust import COPY_AGAIN

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """Yield a temporary path; when the block succeeds, it replaces `target` atomically.

    Works for a file and for a folder. On any failure `target` is unchanged and the temporary path is removed.

    Raises:
        RunError: The disk is full or cannot be written, or a file would replace a folder.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            draft = holder / target.name
            yield draft
            _sync(draft)
            if target.is_dir() and not draft.is_dir():
                raise RunError(
                    f"{target} is a folder, but a file is needed.",
                    "Give a file in it, or another file.",
                    id="output.is-folder",
                )
            if target.is_dir():
                _exchange(draft, target, holder / "old")
            else:
                draft.replace(target)
        finally:
            shutil.rmtree(holder, ignore_errors=True)


def _exchange(draft: Path, target: Path, old: Path) -> None:
    """Replace the folder `target` by the folder `draft`; on failure, restore `target`."""
    target.rename(old)
    try:
        draft.replace(target)
    except BaseException:
        old.rename(target)
        raise


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Convert errors of a full or unwritable disk; safetensors raises its own type."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        advice = _disk_advice(target) if full else "Give another --output, or make the folder writable."
        raise RunError(
            f"{target} cannot be written: {error.strerror or error}.",
            advice,
            id="machine.disk-full" if full else "output.not-writable",
        ) from error
    except Exception as error:
        if type(error).__name__ == "SafetensorError":  # which contains the system's error as text
            full = any(os.strerror(number) in str(error) for number in _FULL)
            raise RunError(
                f"{target} cannot be written: {error}.",
                _disk_advice(target),
                id="machine.disk-full" if full else "output.not-writable",
            ) from error
        raise


def _disk_advice(target: Path) -> str:
    folder = next((p for p in (target, *target.parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(folder).free / 2**20
    return f"{free:,.0f} MiB are free there; free some space or give another --output."


def _sync(path: Path) -> None:
    """Sync everything to the disk, with the permissions of a new file; some writers make their files private."""
    mask = os.umask(0)
    os.umask(mask)
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o666 & ~mask)
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; file names in it are written as their bytes."""
    with aside(path) as draft:
        draft.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n")


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds keys with values.

    Raises:
        SourceError: It is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        reason = None if isinstance(value, dict) else "it is not an object with keys"
        if is_deep(value):
            raise RecursionError
    except RecursionError:
        reason = "its values are nested too deeply"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except ValueError as error:
        reason = f"not JSON: {error}"
    if reason is not None:
        raise SourceError(f"{path} cannot be read: {reason}.", COPY_AGAIN, id="run.damaged")
    content: dict[str, Any] = value
    return content


def write_table(path: Path, table: Any) -> None:
    """Write a Parquet file atomically."""
    import pyarrow.parquet as pq

    with aside(path) as draft, draft.open("wb") as stream:  # Arrow accepts paths in UTF-8 only
        pq.write_table(table, stream)


def open_for_arrow(path: Path) -> Any:
    """Open a file as an Arrow file: Arrow's threads may read after Python has ended, when a Python file would abort.

    Raises:
        OSError: As `open` raises it; Arrow's own errors are less specific.
    """
    import pyarrow as pa

    path.open("rb").close()
    return pa.OSFile(os.fsencode(path))


def read_table(path: Path) -> Any:
    """Read a Parquet file that a run wrote.

    Raises:
        SourceError: It is missing or damaged.
    """
    import pyarrow.parquet as pq

    return _read_parquet(path, pq.read_table)


def column_names(path: Path) -> list[str]:
    """Return the columns of a Parquet file that a run wrote, without reading its rows.

    Raises:
        SourceError: It is missing or damaged.
    """
    import pyarrow.parquet as pq

    names: list[str] = _read_parquet(path, pq.read_schema).names
    return names


def row_count(path: Path) -> int:
    """Return the number of rows of a Parquet file that a run wrote, without reading them.

    Raises:
        SourceError: It is missing or damaged.
    """
    import pyarrow.parquet as pq

    return int(_read_parquet(path, pq.read_metadata).num_rows)


def _read_parquet(path: Path, read: Callable[[Any], Any]) -> Any:
    import pyarrow as pa

    try:
        with open_for_arrow(path) as stream:
            return read(stream)
    except (OSError, MemoryError, pa.ArrowException) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        reason = reason.replace("Could not open Parquet input source '<Buffer>': ", "")
        raise SourceError(
            f"{path} cannot be read: {reason.rstrip('.')}.",
            "The run directory is damaged; copy it again, or give --data.",
            id="run.damaged",
        ) from None


def _plain(value: Any) -> Any:
    convert: Callable[[], Any] | None = getattr(value, "tolist", None)  # numpy scalars and arrays
    if convert is None:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return convert()
