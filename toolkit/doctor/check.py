"""A check of the installation, with limits on its output and its time."""

import os
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

DISTRIBUTION = "finetune-toolkit"
GIB = 2**30

T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """One line of the result.

    Attributes:
        name: What was checked.
        verdict: "ok", "warning" or "fault".
        finding: The result.
        fix: What to do about it; None when there is nothing to do.
    """

    name: str
    verdict: Literal["ok", "warning", "fault"]
    finding: str
    fix: str | None = None


def guarded(name: str, check: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Yield the results of a check, cleaned for output; an unexpected exception becomes a fault."""
    checks: list[Check] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a package's own warnings are not results
            checks.extend(check())
    except Exception as error:  # a broken installation may raise anything
        checks.append(Check(name, "fault", f"could not be examined: {summary(error)}", _way_out(error)))
    for line in checks:
        yield replace(line, finding=_clean(line.finding), fix=_clean(line.fix) if line.fix else None)


def _way_out(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f'Run `pip install --upgrade "{DISTRIBUTION}"`, which brings every package it needs.'
    return "Fix what the message names, or report it together with the output of `toolkit doctor --json`."


def summary(error: BaseException) -> str:
    """Return an error's kind and message on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _clean(text: str) -> str:
    """Put a text on one line without secrets, since messages of libraries quote headers and addresses."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        secret = os.environ.get(name, "").strip()
        if len(secret) >= 8:
            text = text.replace(secret, f"({name})")
    text = re.sub(r"\bhf_[A-Za-z0-9_]{20,}", "(token)", text)
    text = re.sub(r"(?<=://)[^/@\s]+@", "", text)  # user:password@ of an address
    return " ".join(text.split())


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise TimeoutError and abandon its thread."""
    results: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # raised again by the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]


def gib(size: float) -> str:
    """Write a number of bytes in GiB."""
    return f"{size / GIB:.1f} GiB"
