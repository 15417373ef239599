"""The HTTP routes: what is read from a request, asked of the model, and returned."""

import base64
import binascii
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import toolkit
from toolkit.errors import ToolkitError
from toolkit.serve.batcher import Batcher
from toolkit.serve.guard import Guard
from toolkit.serve.limits import Limits
from toolkit.serve.logs import LOG
from toolkit.serve.messages import Parameters, Unfit, prediction, request_types, values
from toolkit.serve.metrics import Metrics
from toolkit.serve.refusals import EXAMPLE, SCHEMA, Refused, faults, handlers, of_error, refusal
from toolkit.serve.routes import bodies, openapi, stream
from toolkit.serve.routes.pipelines import PIPELINES, first
from toolkit.serve.service import Service
from toolkit.tasks.task import Column

if TYPE_CHECKING:
    from starlette.applications import Starlette

LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True)
class _Hosted:
    """A model with its queue.

    Attributes:
        service: The model.
        batcher: Its queue.
        metrics: Counts rejected inputs.
    """

    service: Service
    batcher: Batcher[Mapping[str, Any], dict[str, Any]]
    metrics: Metrics

    async def predict(self, items: Sequence[Any], *, fails: bool = True) -> list[dict[str, Any]]:
        """Return the prediction of each input, or its problem.

        Args:
            items: Inputs as messages, or `Unfit`.
            fails: Whether to raise what the model raised, where it failed on every input.
        """
        read = [_read_or_refused(item, self.service.inputs) for item in items]
        good = [given for given in read if not isinstance(given, Refused)]
        answers = await self.batcher.ask(good) if good else []
        failures = [item for item in answers if isinstance(item, Exception) and not isinstance(item, ToolkitError)]
        if fails and failures and len(failures) == len(answers):
            raise failures[0]
        left = iter(answers)
        predictions = [dict(i.detail) if isinstance(i, Refused) else _prediction(next(left)) for i in read]
        self.metrics.reject(sum("problem" in item for item in predictions))
        return predictions


def create_app(
    service: Service, limits: Limits, hosts: Sequence[str], page: str | None = None, beside: Service | None = None
) -> "Starlette":
    """Build the application.

    Args:
        service: The loaded model.
        limits: Limits of a request.
        hosts: Host names that requests may use; "*" for any.
        page: HTML to show at /, if any.
        beside: A second model, whose predictions are at /beside/predict.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
    from starlette.routing import Route

    from toolkit.report.pages.service import reference

    pipeline = PIPELINES.get(service.hub_task or "")
    choices = Parameters if pipeline is None else pipeline.parameters
    requests = request_types(service.inputs, limits, choices)
    file = _only_file(service.inputs)
    described = openapi.document(
        service.name,
        requests,
        explains=service.explainer is not None,
        pipeline=pipeline,
        files=[] if file is None else [f"{file.kind.name}/*", _BYTES],
    )
    metrics = Metrics([*described["paths"], "/", "/docs", "/openapi.json", "/beside/predict"])
    batcher: Batcher[Mapping[str, Any], dict[str, Any]] = Batcher(metrics.timed(service.answer), limits)
    metrics.watch(lambda: batcher.waiting)
    hosted = _Hosted(service, batcher, metrics)
    second = None if beside is None else _Hosted(beside, Batcher(beside.answer, limits, batcher.thread), metrics)

    def reply(answer: Any) -> Response:
        return Response(stream.compact(answer), media_type="application/json")

    async def predict(request: Any, model: _Hosted = hosted) -> Response:
        """Predict one or more inputs, each independently."""
        if bodies.wants_lines(request):
            if bodies.content_type(request) in bodies.NDJSON:
                items = _lines(await request.body(), partial(bodies.line, kind=requests.line))
            else:
                items = iter(_several((await bodies.read(request, requests.ask)).inputs))  # type: ignore[attr-defined]
            written = await stream.lines(items, partial(model.predict, fails=False), limits.batch)
            return StreamingResponse(written, media_type=bodies.NDJSON[0])
        ask: Any = await bodies.read(request, requests.ask)
        predictions = await model.predict(_several(ask.inputs))
        if ask.parameters is not None:
            predictions = [_fewer(item, ask.parameters) for item in predictions]
        return reply({"model": model.service.name, "predictions": predictions})

    async def predict_beside(request: Any) -> Response:
        """Predict with the second model."""
        assert second is not None
        return await predict(request, second)

    async def explain(request: Any) -> Response:
        """Explain the prediction of one input."""
        asked: Any = await bodies.read(request, requests.why)
        given = _read(asked.input, service.inputs)
        explanation = await batcher.alone(lambda pause: service.explain(given, asked.method, pause, asked.label))
        return reply({"predicted": True} | {key: value for key, value in explanation.items() if value is not None})

    async def root(request: Any) -> Response:
        """Show the page; answer clients of pipelines."""
        if request.method != "POST":
            return RedirectResponse("docs") if page is None else HTMLResponse(page)
        assert pipeline is not None
        several, parameters = False, choices()
        if file is not None and _is_file(request, file):
            items: Sequence[Any] = [base64.b64encode(await request.body()).decode()]
        else:
            ask: Any = await bodies.read(request, requests.ask)
            items, several, parameters = _several(ask.inputs), isinstance(ask.inputs, list), ask.parameters or choices()
        predictions = await hosted.predict(items)
        if not several and "problem" in predictions[0]:
            raise Refused(422, predictions[0])
        return reply(pipeline.answer(predictions, parameters, several=several))

    async def health(_request: Any) -> Response:
        """Return the state of the service."""
        state = {"status": "ok", **service.describe(), "waiting": batcher.waiting, "version": toolkit.__version__}
        return reply(state)

    async def info(_request: Any) -> Response:
        """Return the model, versions and limits."""
        return reply({**service.info(), "limits": limits.model_dump()})

    async def measured(_request: Any) -> Response:
        """Return the metrics."""
        return Response(metrics.text(), media_type="text/plain; version=1.0.0")

    async def documented(_request: Any) -> Response:
        """Return the description of the service."""
        return reply(described)

    async def docs(_request: Any) -> Response:
        """Show the description as a page."""
        return HTMLResponse(help_page)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        if second is None:
            async with batcher:
                yield
        else:
            async with batcher, second.batcher:
                yield

    help_page = reference(described)
    handlers_of = {
        "/": (root, ["GET", *(["POST"] if pipeline is not None else [])]),
        "/predict": (predict, ["POST"]),
        "/health": (health, ["GET"]),
        "/info": (info, ["GET"]),
        "/metrics": (measured, ["GET"]),
        "/openapi.json": (documented, ["GET"]),
        "/docs": (docs, ["GET"]),
        **({"/explain": (explain, ["POST"])} if service.explainer is not None else {}),
        **({"/beside/predict": (predict_beside, ["POST"])} if second is not None else {}),
    }
    routes = [Route(path, _Endpoint(handler), methods=methods) for path, (handler, methods) in handlers_of.items()]
    guards = [Middleware(metrics.around), Middleware(Guard, limits=limits, hosts=hosts)]
    app = Starlette(routes=routes, middleware=guards, exception_handlers=handlers(), lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


class _Endpoint:
    """A route without Starlette's own handling of exceptions around it, as the application handles all of them.

    Args:
        handle: Request → response.
    """

    def __init__(self, handle: Callable[[Any], Awaitable[Any]]) -> None:
        from starlette.requests import Request

        self._handle = handle
        self._request = Request

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        response = await self._handle(self._request(scope, receive, send))
        await response(scope, receive, send)


_BYTES = "application/octet-stream"


def _only_file(inputs: Sequence[Column]) -> Column | None:
    """Return the input whose file alone may be the body of a request; None where there is none."""
    required = [column for column in inputs if column.required]
    return required[0] if len(required) == 1 and required[0].kind.files is not None else None


def _is_file(request: Any, column: Column) -> bool:
    """Whether the body of a request is a file; one without a media type is, unless a web page has sent it."""
    media = bodies.content_type(request)
    return media.startswith(f"{column.kind.name}/") or media == _BYTES or not (media or "origin" in request.headers)


def _several(inputs: Any) -> Sequence[Any]:
    return inputs if isinstance(inputs, list) else [inputs]


def _lines(body: bytes, read: Callable[[bytes], Any]) -> Iterator[Any]:
    """Yield the inputs on the lines of a body.

    Raises:
        Refused: There are none.
    """
    if not body.strip():
        raise Refused(422, refusal("The request has no body.", EXAMPLE))
    return (read(line) for line in io.BytesIO(body) if line.strip())


def _fewer(answer: dict[str, Any], parameters: Parameters) -> dict[str, Any]:
    """Leave out the scores of less probable classes, as far as the request says so."""
    return {**answer, "scores": dict(first(answer["scores"], parameters))} if "scores" in answer else answer


def _read(item: Any, inputs: Sequence[Column]) -> dict[str, Any]:
    """Convert an input to role → value.

    Raises:
        Refused: It does not fit, or a file is not base64.
    """
    if isinstance(item, Unfit):
        raise Refused(422, refusal(f"The input does not fit: {faults(item.errors, 'it')}", SCHEMA))
    try:
        return values(item, inputs)
    except (binascii.Error, ValueError):
        raise Refused(422, refusal("The file is not valid base64.", "Encode the bytes of its file.")) from None


def _read_or_refused(item: Any, inputs: Sequence[Column]) -> dict[str, Any] | Refused:
    try:
        return _read(item, inputs)
    except Refused as refused:
        return refused


def _prediction(answer: Mapping[str, Any] | Exception) -> dict[str, Any]:
    """Convert the result of one input to a response; exceptions of the model are only logged."""
    if isinstance(answer, ToolkitError):
        return of_error(answer)
    if isinstance(answer, Exception):
        LOG.error("The model failed on an input", exc_info=answer)
        return refusal("The model failed on this input.", "See the log of the service.")
    if answer["problem"]:
        return refusal(f"The input cannot be predicted: {answer['problem']}.", "Remove or correct it.")
    return prediction(answer)
