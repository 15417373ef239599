"""Bodies of requests: JSON of a type, lines of NDJSON, or one file as it is."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from toolkit.serve.messages import Unfit
from toolkit.serve.refusals import EXAMPLE, SCHEMA, Refused, faults, refusal

NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")

Message = TypeVar("Message", bound=BaseModel)


def content_type(request: Any) -> str:
    """Return the media type of a request, without its parameters."""
    return str(request.headers.get("content-type", "")).partition(";")[0].strip().lower()


def wants_lines(request: Any) -> bool:
    """Whether the client asks for a line for each input."""
    accepted = [item.partition(";")[0].strip().lower() for item in request.headers.get("accept", "").split(",")]
    return content_type(request) in NDJSON or any(item in NDJSON for item in accepted)


async def read(request: Any, kind: type[Message]) -> Message:
    """Return the body of a request as a message.

    Raises:
        Refused: 415 for a body of another type, 422 for one that is not valid.
    """
    body = await request.body()
    media = content_type(request)
    if not body:
        raise Refused(422, refusal("The request has no body.", EXAMPLE))
    if media != "application/json" and not media.endswith("+json"):
        raise unsupported(media)
    try:
        return kind.model_validate(json.loads(body))
    except ValidationError as error:
        raise Refused(422, refusal(f"The request does not fit: {faults(error.errors())}", SCHEMA)) from None
    except (ValueError, RecursionError) as error:
        raise Refused(422, refusal(f"The body is not valid JSON: {_why(error)}.", EXAMPLE)) from None


def unsupported(media: str) -> Any:
    """Return the refusal of a body whose media type is not supported."""
    named = f"`{media[:200]}`" if media else "missing"
    return Refused(415, refusal(f"The Content-Type is {named}, not JSON.", EXAMPLE))


def line(text: bytes, kind: TypeAdapter[Any]) -> Any:
    """Return the input on a line of NDJSON; `Unfit` if it is none."""
    try:
        return kind.validate_python(json.loads(text))
    except (ValueError, RecursionError) as error:
        return Unfit([{"type": "json", "loc": (), "msg": f"is not valid JSON: {_why(error)}"}])


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, at character {error.pos + 1}"
    if isinstance(error, UnicodeDecodeError):
        return "its bytes are not UTF-8"
    return "it is nested too deep" if isinstance(error, RecursionError) else "it cannot be parsed"
