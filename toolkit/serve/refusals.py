"""Error responses, all of one form: the problem and the fix."""

import http
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.serve.batcher import Abandoned, Overloaded

RETRY_SECONDS = 1
SCHEMA = "See GET /openapi.json for the schema."
EXAMPLE = 'Send JSON with Content-Type: application/json, such as {"inputs": [...]}. ' + SCHEMA
SHOWN = 5  # faults of one request
_BRANCHES = ("object", "bare", "several", "one")  # tags in `messages` of the forms of an input, and of inputs


class Refused(Exception):
    """A request that is refused.

    Args:
        code: Status of the response.
        detail: Its body.
    """

    def __init__(self, code: int, detail: Mapping[str, str]) -> None:
        super().__init__(detail["problem"])
        self.code = code
        self.detail = detail


def refusal(problem: str, fix: str) -> dict[str, str]:
    """Return the body of an error response."""
    return {"problem": problem, "fix": fix}


def of_error(error: ToolkitError) -> dict[str, str]:
    """Return the body for an error of the toolkit, with its identifier."""
    return {**refusal(error.problem, error.fix), "id": error.id}


def refusal_response(code: int, detail: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Any:
    """Return an error response."""
    from starlette.responses import JSONResponse

    return JSONResponse(detail, code, headers=headers)


def unknown_host(host: str) -> Any:
    """Refuse a request with a host name that is not allowed."""
    problem = f"The host name `{host[:200]}` is not allowed."
    return refusal_response(400, refusal(problem, "Allow it with `toolkit serve --allow-host NAME`."))


def too_large(most: int) -> dict[str, str]:
    """Refuse a request that is too large."""
    return refusal(f"The request is larger than {most:,} bytes.", "Send fewer inputs per request.")


def too_busy() -> Any:
    """Refuse a request because the service is busy."""
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return refusal_response(503, refusal("Too many requests are waiting.", "Retry in a second."), headers)


def unreadable() -> dict[str, str]:
    """Refuse an invalid HTTP request."""
    return refusal(
        "The HTTP request cannot be parsed.",
        "Check its request line, Host and Content-Length, or use an HTTP library.",
    )


def too_late() -> dict[str, str]:
    """Refuse a request that does not arrive in time."""
    return refusal("The request did not arrive in time.", "Send it again.")


def too_long() -> dict[str, str]:
    """Refuse a request whose predictions take too long."""
    return refusal("The request took too long.", "Send fewer or shorter inputs per request.")


def raw(code: int, detail: Mapping[str, str]) -> bytes:
    """Return an error response as raw bytes, for connections without a readable request."""
    body = json.dumps(detail).encode()
    head = (
        f"HTTP/1.1 {code} {http.HTTPStatus(code).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def faults(errors: Sequence[Any], whole: str = "the body") -> str:
    """Describe the first faults of a request.

    Args:
        errors: As pydantic reports them.
        whole: What contains them.
    """
    more = len(errors) - SHOWN
    messages = [_fault(error, whole) for error in errors[:SHOWN]] + ([f"and {more} more"] if more > 0 else [])
    return f"{'; '.join(messages)}."


def _fault(error: Mapping[str, Any], whole: str) -> str:
    kind, context = error["type"], error.get("ctx", {})
    words = {
        "missing": "is missing",
        "extra_forbidden": "is an unknown key",
        "string_type": "is not a text",
        "string_unicode": "is not Unicode text",
        "string_too_short": "is empty",
        "greater_than_equal": f"is below {context.get('ge')}",
        "less_than_equal": f"is above {context.get('le')}",
        "string_too_long": f"is longer than {context.get('max_length', 0):,} characters",
        "list_type": "is not a list",
        "too_short": "is empty",
        "too_long": f"has {context.get('actual_length')} entries, and {context.get('max_length')} are allowed",
        "model_attributes_type": "is not an object",
        "model_type": "is not an object",
    }
    return f"{_place(error['loc'], whole)} {words.get(kind, error['msg'])}"


def _place(where: Sequence[str | int], whole: str) -> str:
    """Format a place: ("body", "input", "object", "text") is "`text` of `input`"."""
    parts = [part for part in where if part not in ("body", *_BRANCHES)]
    if not parts:
        return whole
    named = [f"word {part + 1}" if isinstance(part, int) else part for part in parts]
    shown = [name if " " in name else f"`{name}`" for name in named]
    return " of ".join(reversed(shown))


def handlers() -> dict[Any, Callable[..., Any]]:
    """Return what converts each failure to a `Problem`, by its class; tracebacks are only logged."""
    from starlette.exceptions import HTTPException

    async def refused(_request: Any, error: Refused) -> Any:
        return refusal_response(error.code, error.detail)

    async def unknown(request: Any, error: HTTPException) -> Any:
        path, problem = request.url.path[:200], f"{error.detail}."
        if error.status_code == 404:
            problem = f"There is no route {path}."
        if error.status_code == 405:
            methods = sorted((error.headers or {}).get("Allow", "another method").split(", "))
            problem = f"{path} supports {', '.join(methods)}, not {request.method}."
        fix = "Use POST /predict; GET /openapi.json describes it."
        return refusal_response(error.status_code, refusal(problem, fix), error.headers)

    async def overloaded(_request: Any, _error: Overloaded) -> Any:
        return too_busy()

    async def late(_request: Any, _error: Exception) -> Any:
        return refusal_response(504, too_long())

    async def impossible(_request: Any, error: ToolkitError) -> Any:
        return refusal_response(422, of_error(error))

    async def failed(_request: Any, _error: Exception) -> Any:
        return refusal_response(500, refusal("The model failed on this request.", "See the log of the service."))

    return {
        Refused: refused,
        HTTPException: unknown,
        Overloaded: overloaded,
        Abandoned: late,
        TimeoutError: late,
        ToolkitError: impossible,
        Exception: failed,
    }
