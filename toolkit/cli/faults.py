"""Exceptions that the machine causes, not the toolkit: no memory, no space, no permission."""

import errno
import re
from typing import NamedTuple

from toolkit.errors import CallError, RecipeError, RunError, ToolkitError
from toolkit.tasks import catalogue

_NO_MEMORY = re.compile(
    r"out of memory|not enough memory|can.?t allocate memory|cannot allocate memory|unable to allocate|bad_alloc|"
    r"failed to map segment|can.?t start new thread",
    re.IGNORECASE,
)


class _Cause(NamedTuple):
    """An identifier and the next step."""

    id: str
    fix: str


_FULL = _Cause(id="machine.disk-full", fix="Free some space, or write to another disk.")
_CLOSED = _Cause(id="machine.permission-denied", fix="Change its permissions, or use another location.")
_TOO_MANY_FILES = _Cause(id="machine.too-many-open-files", fix="Raise the number of open files with `ulimit -n`.")
_CAUSES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _Cause(id="machine.read-only-disk", fix="Write to another location."),
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EMFILE: _TOO_MANY_FILES,
    errno.ENFILE: _TOO_MANY_FILES,
    errno.EIO: _Cause(id="machine.disk-failing", fix="The disk may be failing; try another one."),
}


def explained(error: BaseException) -> ToolkitError | None:
    """Return an error with a fix for an exception that the machine or the input caused; None for any other.

    An error of the toolkit is returned as it is, unless it was raised because memory ran out.
    """
    if isinstance(error, ToolkitError) and not (isinstance(error, CallError) and _is_of_memory(error.__cause__)):
        return error
    if _is_of_memory(error):
        return RunError(
            "Memory ran out.",
            "Lower the batch size or the length (`training.micro_batch_size`, `evaluation.batch_size`, "
            "`data.max_length`), use a smaller model, or raise the limit (`ulimit -v`).",
            id="machine.out-of-memory",
        )
    if isinstance(error, RecursionError):
        return CallError(
            "A file of the input is nested too deep to be read.",
            "Check its YAML or JSON: --debug shows which file was being read.",
            id="data.nested-too-deeply",
        )
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return CallError(
            "A name has characters outside ASCII, but the locale of this shell supports only ASCII.",
            "Run the command with PYTHONUTF8=1 set, or rename the file.",
            id="machine.locale",
        )
    if isinstance(error, ConnectionError):
        return RunError(
            f"A connection was closed ({error.strerror or type(error).__name__}).",
            "Repeat the command.",
            id="machine.connection-lost",
        )
    if isinstance(error, OSError) and error.errno in _CAUSES:
        where = f"{error.filename}: " if error.filename is not None else ""
        cause = _CAUSES[error.errno]
        return RunError(f"{where}{error.strerror}.", cause.fix, id=cause.id)
    place = catalogue.line_in_user_code(error)
    if place is not None:
        return RecipeError(
            f"{place[0]}, line {place[1]}, in {place[2]}: {type(error).__name__}: {error}",
            "Correct this code; --debug shows the whole traceback.",
            id="recipe.code-failed",
        )
    return None


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out; torch, Python's importer and others raise other exceptions for it."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if not isinstance(error, ToolkitError) and _NO_MEMORY.search(str(error)):
            return True
        error = error.__cause__
    return False
