"""The HTTP side: routes, limits, and one shape for every refusal."""

import asyncio
import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import toolkit
from toolkit.errors import ToolkitError
from toolkit.serve.batcher import Batcher, Overloaded
from toolkit.serve.limits import Limits
from toolkit.serve.messages import (
    Explanation,
    Health,
    Predictions,
    Problem,
    prediction,
    request_types,
    values,
)
from toolkit.serve.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
RETRY_SECONDS = 1


def create_app(service: Service, limits: Limits, hosts: Sequence[str], page: str | None = None) -> "FastAPI":
    """Build the application.

    Args:
        service: The loaded model.
        limits: What a request may ask for.
        hosts: Names under which it may be addressed, so that no page elsewhere reaches it through a name of its own;
            "*" for any.
        page: HTML to show at /, if any.
    """
    from fastapi import FastAPI, HTTPException
    from fastapi.responses import HTMLResponse
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    ask_type, why_type = request_types(service.inputs, limits)
    batcher: Batcher[Mapping[str, Any], dict[str, Any]] = Batcher(service.answer, limits)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with batcher:
            yield

    app = FastAPI(
        title=f"{service.name}",
        summary="Ask a fine-tuned model.",
        version=toolkit.__version__,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        responses={code: {"model": Problem} for code in (400, 413, 422, 500, 503, 504)},
    )
    _answer_refusals(app)
    app.add_middleware(_Bounded, limits=limits)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)

    def rows(inputs: Sequence[Any]) -> list[dict[str, Any]]:
        found = []
        for number, one in enumerate(inputs, 1):
            try:
                found.append(values(one, service.inputs))
            except (binascii.Error, ValueError):
                raise HTTPException(
                    422, _refusal(f"Input {number} is not base64.", "Encode the picture's bytes.")
                ) from None
        return found

    async def predict(request: Any) -> Predictions:
        """Answer one or more inputs."""
        answers = await batcher.ask(rows(request.inputs))
        wrong = [(number, answer["problem"]) for number, answer in enumerate(answers, 1) if answer["problem"]]
        if wrong:
            number, problem = wrong[0]
            more = f" So do {len(wrong) - 1} more." if len(wrong) > 1 else ""
            raise HTTPException(
                422, _refusal(f"Input {number} cannot be answered: {problem}.{more}", "Leave it out, or mend it.")
            )
        return Predictions(model=service.name, predictions=[prediction(answer) for answer in answers])

    async def explain(request: Any) -> Explanation:
        """Say what the answer to one input rests on."""
        (given,) = rows([request.input])
        return Explanation(**await batcher.alone(lambda: service.explain(given, request.method)))

    async def health() -> Health:
        """Say that the service answers."""
        return Health(**service.describe(), waiting=batcher.waiting, version=toolkit.__version__)

    predict.__annotations__["request"] = ask_type
    explain.__annotations__["request"] = why_type
    app.get("/health")(health)
    app.post("/predict", response_model_exclude_none=True)(predict)
    if service.explainer is not None:
        app.post("/explain", response_model_exclude_none=True)(explain)
    if page is not None:
        app.get("/", response_class=HTMLResponse, include_in_schema=False)(lambda: HTMLResponse(page))
    return app


def _refusal(problem: str, fix: str) -> dict[str, str]:
    return {"problem": problem, "fix": fix}


def _answer_refusals(app: "FastAPI") -> None:
    """Give every failure the shape of `Problem`; a traceback stays here."""
    from fastapi import HTTPException, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException as Refused

    def said(code: int, problem: str, fix: str, **headers: str) -> JSONResponse:
        return JSONResponse(_refusal(problem, fix), code, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [f"{'.'.join(map(str, one['loc'][1:])) or 'the body'}: {one['msg']}" for one in error.errors()[:5]]
        return said(422, f"The request does not fit: {'; '.join(faults)}.", "GET /openapi.json describes what fits.")

    @app.exception_handler(Refused)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.detail, dict):
            return said(error.status_code, **error.detail)
        return said(error.status_code, f"{error.detail}.", "POST /predict answers; GET /openapi.json describes how.")

    @app.exception_handler(Overloaded)
    async def overloaded(_request: Request, _error: Overloaded) -> JSONResponse:
        headers = {"Retry-After": str(RETRY_SECONDS)}
        return JSONResponse(_refusal("Too many requests are waiting.", "Ask again in a second."), 503, headers=headers)

    @app.exception_handler(TimeoutError)
    async def late(_request: Request, _error: TimeoutError) -> JSONResponse:
        return said(504, "The answer took too long.", "Ask for fewer or shorter inputs at a time.")

    @app.exception_handler(ToolkitError)
    async def impossible(_request: Request, error: ToolkitError) -> JSONResponse:
        return said(422, error.problem, error.fix)

    @app.exception_handler(Exception)
    async def failed(_request: Request, _error: Exception) -> JSONResponse:
        return said(500, "The model failed on this request.", "The service's own log says more.")


class _Bounded:
    """Refuses requests that are too large, or whose body does not arrive in time, before they are held in memory.

    Args:
        app: What answers the others.
        limits: How large, and how long.
    """

    def __init__(self, app: Any, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, with its body counted."""
        from fastapi import HTTPException

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most, seen = self.limits.body_bytes, 0

        async def counted() -> Any:
            nonlocal seen
            try:
                message = await asyncio.wait_for(receive(), self.limits.seconds)
            except TimeoutError:
                raise HTTPException(408, _refusal("The request did not arrive in time.", "Send it again.")) from None
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(
                    413, _refusal(f"The request is larger than {most:,} bytes.", "Ask for fewer inputs at a time.")
                )
            return message

        await self.app(scope, counted, send)
