"""Error responses, all of one form: the problem and the fix."""

import http
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toolkit.errors import ToolkitError
from toolkit.serve.batcher import Abandoned, Overloaded

if TYPE_CHECKING:
    from fastapi import FastAPI

RETRY_SECONDS = 1
SCHEMA = "See GET /openapi.json for the schema."
EXAMPLE = 'Send JSON with Content-Type: application/json, such as {"inputs": [...]}; ' + SCHEMA
SHOWN = 5  # faults of one request
_BRANCHES = ("object", "bare")  # the tags in `messages` of the two forms of an input


def refusal(problem: str, fix: str) -> dict[str, str]:
    """Return the body of an error response."""
    return {"problem": problem, "fix": fix}


def of_error(error: ToolkitError) -> dict[str, str]:
    """Return the body for an error of the toolkit, with its identifier."""
    return {**refusal(error.problem, error.fix), "id": error.id}


def refusal_response(code: int, detail: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Any:
    """Return an error response."""
    from fastapi.responses import JSONResponse

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
    if kind == "json_invalid":
        return f"the body is not JSON: {context.get('error', error['msg'])}, at character {int(error['loc'][-1]) + 1}"
    words = {
        "missing": "is missing",
        "extra_forbidden": "is an unknown key",
        "string_type": "is not a text",
        "string_too_short": "is empty",
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


def answer_refusals(app: "FastAPI") -> None:
    """Convert every failure to a `Problem`; tracebacks are only logged."""
    from fastapi import HTTPException, Request
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException as Refused

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Any:
        details = error.errors()
        whole = tuple(details[0]["loc"]) == ("body",)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if whole and details[0]["type"] == "missing":
            return refusal_response(422, refusal("The request has no body.", EXAMPLE))
        if whole and kind != "application/json" and not kind.endswith("+json"):
            named = f"`{kind[:200]}`" if kind else "missing"
            return refusal_response(415, refusal(f"The Content-Type is {named}, not JSON.", EXAMPLE))
        return refusal_response(422, refusal(f"The request does not fit: {faults(details)}", SCHEMA))

    @app.exception_handler(Refused)
    async def refused(request: Request, error: HTTPException) -> Any:
        if isinstance(error.detail, dict):
            return refusal_response(error.status_code, error.detail, error.headers)
        if error.status_code == 400:  # FastAPI's, for a body that Python's parser rejects
            sentence = "The body is not valid JSON: its bytes are not UTF-8, or it is nested too deep."
            return refusal_response(422, refusal(sentence, EXAMPLE))
        path, problem = request.url.path[:200], f"{error.detail}."
        if error.status_code == 404:
            problem = f"There is no route {path}."
        if error.status_code == 405:
            problem = f"{path} supports {(error.headers or {}).get('Allow', 'another method')}, not {request.method}."
        fix = "Use POST /predict; GET /openapi.json describes it."
        return refusal_response(error.status_code, refusal(problem, fix), error.headers)

    @app.exception_handler(Overloaded)
    async def overloaded(_request: Request, _error: Overloaded) -> Any:
        return too_busy()

    @app.exception_handler(Abandoned)
    @app.exception_handler(TimeoutError)
    async def late(_request: Request, _error: Exception) -> Any:
        return refusal_response(504, refusal("The request took too long.", "Send fewer or shorter inputs per request."))

    @app.exception_handler(ToolkitError)
    async def impossible(_request: Request, error: ToolkitError) -> Any:
        return refusal_response(422, of_error(error))

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> Any:
        return refusal_response(500, refusal("The model failed on this request.", "See the log of the service."))
