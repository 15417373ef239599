"""The HTTP side: the routes, and what they take and return."""

import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import toolkit
from toolkit.serve.batcher import Batcher
from toolkit.serve.guard import Guard
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
from toolkit.serve.refusals import answer_refusals, refusal
from toolkit.serve.service import Service

if TYPE_CHECKING:
    from fastapi import FastAPI

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")


def create_app(service: Service, limits: Limits, hosts: Sequence[str], page: str | None = None) -> "FastAPI":
    """Build the application.

    Args:
        service: The loaded model.
        limits: What a request may ask for.
        hosts: Names under which it may be addressed; "*" for any.
        page: HTML to show at /, if any.
    """
    from fastapi import FastAPI, HTTPException
    from fastapi.responses import HTMLResponse

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
        redirect_slashes=False,
        responses={code: {"model": Problem} for code in (400, 404, 405, 408, 413, 415, 422, 500, 503, 504)},
    )
    answer_refusals(app)
    app.add_middleware(Guard, limits=limits, hosts=hosts)

    def rows(inputs: Sequence[Any]) -> list[dict[str, Any]]:
        found = []
        for number, one in enumerate(inputs, 1):
            try:
                found.append(values(one, service.inputs))
            except (binascii.Error, ValueError):
                raise HTTPException(
                    422, refusal(f"Input {number} is not base64.", "Encode the picture's bytes.")
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
                422, refusal(f"Input {number} cannot be answered: {problem}.{more}", "Leave it out, or mend it.")
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
