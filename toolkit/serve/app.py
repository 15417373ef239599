"""The HTTP routes, with their requests and responses."""

import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import toolkit
from toolkit.errors import ToolkitError
from toolkit.serve.batcher import Batcher
from toolkit.serve.guard import Guard
from toolkit.serve.limits import Limits
from toolkit.serve.logs import LOG
from toolkit.serve.messages import (
    Explanation,
    Health,
    Prediction,
    Predictions,
    Problem,
    Unfit,
    prediction,
    request_types,
    values,
)
from toolkit.serve.refusals import SCHEMA, answer_refusals, faults, of_error, refusal
from toolkit.serve.service import Service
from toolkit.tasks.task import Column

if TYPE_CHECKING:
    from fastapi import FastAPI

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")


def create_app(service: Service, limits: Limits, hosts: Sequence[str], page: str | None = None) -> "FastAPI":
    """Build the application.

    Args:
        service: The loaded model.
        limits: Limits of a request.
        hosts: Host names that requests may use; "*" for any.
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
        summary="Predictions of a fine-tuned model.",
        version=toolkit.__version__,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses={code: {"model": Problem} for code in (400, 404, 405, 408, 413, 415, 422, 500, 503, 504)},
    )
    answer_refusals(app)
    app.add_middleware(Guard, limits=limits, hosts=hosts)

    async def predict(request: Any) -> Predictions:
        """Predict one or more inputs, each independently."""
        read = [_read(item, service.inputs) for item in request.inputs]
        good = [item for item in read if not isinstance(item, Problem)]
        answers = await batcher.ask(good) if good else []
        failures = [item for item in answers if isinstance(item, Exception) and not isinstance(item, ToolkitError)]
        if failures and len(failures) == len(answers):
            raise failures[0]
        left = iter(answers)
        predictions = [item if isinstance(item, Problem) else _prediction(next(left)) for item in read]
        return Predictions(model=service.name, predictions=predictions)

    async def explain(request: Any) -> Explanation:
        """Explain the prediction of one input."""
        given = _read(request.input, service.inputs)
        if isinstance(given, Problem):
            raise HTTPException(422, refusal(given.problem, given.fix))
        method, label = request.method, request.label
        return Explanation(**await batcher.alone(lambda pause: service.explain(given, method, pause, label)))

    async def health() -> Health:
        """Return the state of the service."""
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


def _read(item: Any, inputs: Sequence[Column]) -> Mapping[str, Any] | Problem:
    """Convert an input to role → value, or return the problem with it."""
    if isinstance(item, Unfit):
        return Problem(problem=f"The input does not fit: {faults(item.errors, 'it')}", fix=SCHEMA)
    try:
        return values(item, inputs)
    except (binascii.Error, ValueError):
        return Problem(problem="The file is not valid base64.", fix="Encode the bytes of its file.")


def _prediction(answer: Mapping[str, Any] | Exception) -> Prediction | Problem:
    """Convert the result of one input to a response; exceptions of the model are only logged."""
    if isinstance(answer, ToolkitError):
        return Problem(**of_error(answer))
    if isinstance(answer, Exception):
        LOG.error("The model failed on an input", exc_info=answer)
        return Problem(problem="The model failed on this input.", fix="See the log of the service.")
    if answer["problem"]:
        return Problem(problem=f"The input cannot be predicted: {answer['problem']}.", fix="Remove or correct it.")
    return prediction(answer)
