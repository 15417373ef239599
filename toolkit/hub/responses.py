"""Errors of the Hub: repeated requests, and messages with a fix."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from toolkit.errors import CallError, RunError, ToolkitError

T = TypeVar("T")

ATTEMPTS = 4
LONGEST_WAIT = 120.0  # seconds, for any Retry-After


def patiently(action: Callable[[], T]) -> T:
    """Retry when the Hub is busy or the connection is lost, after the requested time."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except Exception as error:
            wait = _wait_before_retry(error, attempt)
            if wait is None or attempt == ATTEMPTS:
                raise
            time.sleep(wait)
    raise AssertionError  # the loop returns or raises


def unless_unknown(check: Callable[[], object]) -> None:
    """Request a check, with retries, that a private or older Hub may not support; then it is skipped."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        patiently(check)
    except HfHubHTTPError as error:
        named = error.response is not None and error.response.headers.get("X-Error-Code")
        if named or _status(error) not in (404, 405, 501):
            raise


def _wait_before_retry(error: Exception, attempt: int) -> float | None:
    """Return the seconds to wait, or None where a retry cannot help."""
    import httpx2

    status = _status(error)
    if status is None and not isinstance(error, httpx2.TransportError):
        return None
    if status is not None and status != 429 and (status < 500 or status == 501):
        return None
    response = getattr(error, "response", None)
    retry_after = response.headers.get("Retry-After", "") if response is not None else ""
    return min(float(retry_after), LONGEST_WAIT) if retry_after.isdigit() else float(2 ** (attempt - 1))


def _status(error: Exception) -> int | None:
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return int(error.response.status_code)
    return None


@contextmanager
def translated_errors(name: str, kind: type[CallError] | type[RunError]) -> Iterator[None]:
    """Convert errors of the Hub, in requests about a repository or in uploads, to errors with a fix."""
    try:
        yield
    except ToolkitError:
        raise
    except Exception as error:
        mended = _push_error(error, name, kind)
        if mended is None:
            raise
        raise mended from error


def no_access(name: str, kind: type[ToolkitError]) -> ToolkitError:
    """Return the error for a token without write access to a repository."""
    return kind(
        f"This token may not write to {name}.",
        "Use another name, or a token that may write there; if the model exists, --pr proposes the change.",
        id="hub.no-write-access",
    )


def _push_error(error: Exception, name: str, kind: type[ToolkitError]) -> ToolkitError | None:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    status, again = _status(error), "Repeat the same command; uploaded files are not sent again."
    if isinstance(error, RevisionNotFoundError):
        return kind(f"{name} has no such branch.", "Check --revision.", id="hub.no-revision")
    if status == 401:
        return kind(
            "The Hub rejects the token.",
            "Run `hf auth login` with a valid write token, or set HF_TOKEN.",
            id="hub.invalid-token",
        )
    if status == 403:
        return no_access(name, kind)
    if status in (409, 412):
        return kind(f"{name} was changed by somebody else in the meantime.", again, id="hub.changed-meanwhile")
    if status == 429:
        return kind(
            f"The Hub's rate limit was reached, so {name} was not pushed.",
            f"Wait. {again}",
            id="hub.too-many-requests",
        )
    if status is not None and status >= 500:
        return kind(
            f"The Hub failed (status {status}), so {name} was not pushed.",
            f"Wait. {again}",
            id="hub.server-error",
        )
    if isinstance(error, RepositoryNotFoundError):
        return kind(
            f"The Hub has no {name} that this token may see.",
            "Check name and token, and push again.",
            id="hub.not-found",
        )
    if isinstance(error, httpx2.TransportError):
        return kind(f"The connection to the Hub was cut ({type(error).__name__}).", again, id="machine.connection-lost")
    if isinstance(error, HfHubHTTPError):
        reason = str(error).strip().partition("\n")[0]
        return kind(
            f"The Hub rejected {name}: {reason}",
            f"{again} `toolkit doctor` checks the Hub.",
            id="hub.request-failed",
        )
    return None
