"""The HTTP routes: what is read from a request, asked of the model, and returned."""

import base64
import binascii
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import toolkit
from toolkit.errors import ToolkitError
from toolkit.serve.batcher import Batcher
from toolkit.serve.guard import Guard
from toolkit.serve.limits import Limits
from toolkit.serve.logs import LOG
from toolkit.serve.messages import Health, Parameters, Unfit, prediction, request_types, values
from toolkit.serve.metrics import Metrics
from toolkit.serve.refusals import EXAMPLE, SCHEMA, Refused, faults, handlers, of_error, refusal
from toolkit.serve.routes import bodies, openapi, stream
from toolkit.serve.routes.pipelines import PIPELINES, first
from toolkit.serve.service import Service
from toolkit.tasks.task import Column

if TYPE_CHECKING:
    from starlette.applications import Starlette

PATHS = ("/", "/predict", "/explain", "/health", "/info", "/metrics", "/openapi.json", "/docs", "/beside/predict")
METRICS = "text/plain; version=1.0.0"  # the text format of Prometheus
LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")


_Queue = Batcher[Mapping[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class _Hosted:
    """A model with its queue.

    Attributes:
        service: The model.
        batcher: Its queue.
        metrics: Counts rejected inputs.
    """

    service: Service
    batcher: _Queue
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
    from starlette.routing import Route

    metrics = Metrics(PATHS)
    batcher: _Queue = Batcher(metrics.timed(service.answer), limits)
    metrics.watch(lambda: batcher.waiting)
    routes = _Routes(_Hosted(service, batcher, metrics), limits, page)
    paths: dict[str, tuple[Callable[[Any], Awaitable[Any]], list[str]]] = {
        "/": (routes.root, ["GET", *(["POST"] if routes.pipeline is not None else [])]),
        "/predict": (routes.predict, ["POST"]),
        "/health": (routes.health, ["GET"]),
        "/info": (routes.info, ["GET"]),
        "/metrics": (routes.metrics, ["GET"]),
        "/openapi.json": (routes.openapi, ["GET"]),
        "/docs": (routes.docs, ["GET"]),
    }
    if service.explainer is not None:
        paths["/explain"] = (routes.explain, ["POST"])
    queues = [batcher]
    if beside is not None:
        second = _Hosted(beside, Batcher(beside.answer, limits, batcher.thread), metrics)
        queues.append(second.batcher)
        paths["/beside/predict"] = (partial(routes.predict, model=second), ["POST"])

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            for queue in queues:
                await running.enter_async_context(queue)
            yield

    app = Starlette(
        routes=[Route(path, _Endpoint(handle), methods=methods) for path, (handle, methods) in paths.items()],
        middleware=[Middleware(metrics.around), Middleware(Guard, limits=limits, hosts=hosts)],
        exception_handlers=handlers(),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


class _Routes:
    """What each route does.

    Args:
        hosted: The model.
        limits: Limits of a request.
        page: HTML to show at /, if any.
    """

    def __init__(self, hosted: _Hosted, limits: Limits, page: str | None) -> None:
        from toolkit.report.pages.service import reference

        service = hosted.service
        self._hosted, self._limits, self._page = hosted, limits, page
        self.pipeline = PIPELINES.get(service.hub_task or "")
        self._choices = Parameters if self.pipeline is None else self.pipeline.parameters
        self._requests = request_types(service.inputs, limits, self._choices)
        self._file = _only_file(service.inputs)
        self._described = openapi.document(
            service.name,
            self._requests,
            explains=service.explainer is not None,
            pipeline=self.pipeline,
            files=[] if self._file is None else [f"{self._file.kind.name}/*", _BYTES],
            example=_example(service.inputs),
        )
        self._reference = reference(self._described)

    async def predict(self, request: Any, model: _Hosted | None = None) -> Any:
        """Predict one or more inputs, each independently."""
        from starlette.responses import StreamingResponse

        model = model or self._hosted
        if bodies.content_type(request) in bodies.NDJSON:
            items, chosen = _lines(await request.body(), partial(bodies.line, kind=self._requests.line)), None
        else:
            ask: Any = await bodies.read(request, self._requests.ask)
            items, chosen = iter(_several(ask.inputs)), ask.parameters
        if not bodies.wants_lines(request):
            return _reply({"model": model.service.name, "predictions": _fewer(await model.predict([*items]), chosen)})

        async def some(chunk: Sequence[Any]) -> list[dict[str, Any]]:
            return _fewer(await model.predict(chunk, fails=False), chosen)

        return StreamingResponse(await stream.lines(items, some, self._limits.batch), media_type=bodies.NDJSON[0])

    async def explain(self, request: Any) -> Any:
        """Explain the prediction of one input."""
        asked: Any = await bodies.read(request, self._requests.why)
        service = self._hosted.service
        given = _read(asked.input, service.inputs)
        explanation = await self._hosted.batcher.alone(
            lambda pause: service.explain(given, asked.method, pause, asked.label)
        )
        return _reply({"predicted": True} | {key: value for key, value in explanation.items() if value is not None})

    async def root(self, request: Any) -> Any:
        """Show the page; answer clients of pipelines."""
        from starlette.responses import HTMLResponse, RedirectResponse

        if request.method != "POST" or self.pipeline is None:
            return RedirectResponse("docs") if self._page is None else HTMLResponse(self._page)
        several, parameters = False, self._choices()
        if self._file is not None and _is_file(request, self._file):
            items: Sequence[Any] = [base64.b64encode(await request.body()).decode()]
        else:
            ask: Any = await bodies.read(request, self._requests.ask)
            items, several, parameters = (
                _several(ask.inputs),
                isinstance(ask.inputs, list),
                ask.parameters or parameters,
            )
        predictions = await self._hosted.predict(items)
        if not several and "problem" in predictions[0]:
            raise Refused(422, predictions[0])
        return _reply(self.pipeline.answer(predictions, parameters, several=several))

    async def health(self, _request: Any) -> Any:
        """Return the state of the service."""
        model = asdict(self._hosted.service.describe())
        return _reply(asdict(Health(**model, waiting=self._hosted.batcher.waiting, version=toolkit.__version__)))

    async def info(self, _request: Any) -> Any:
        """Return the model, versions and limits."""
        return _reply({**self._hosted.service.info(), "limits": self._limits.model_dump()})

    async def metrics(self, _request: Any) -> Any:
        """Return the metrics."""
        from starlette.responses import Response

        return Response(self._hosted.metrics.text(), media_type=METRICS)

    async def openapi(self, _request: Any) -> Any:
        """Return the description of the service."""
        return _reply(self._described)

    async def docs(self, _request: Any) -> Any:
        """Show the description as a page."""
        from starlette.responses import HTMLResponse

        return HTMLResponse(self._reference)


def _reply(answer: Any) -> Any:
    from starlette.responses import Response

    return Response(stream.compact(answer), media_type="application/json")


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


def _example(inputs: Sequence[Column]) -> dict[str, Any] | None:
    """Return an input as JSON, of the samples of its kinds; None where a kind has none, as files have."""
    required = [column for column in inputs if column.required]
    return {c.role: c.kind.samples[0] for c in required} if all(c.kind.samples for c in required) else None


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


def _fewer(answers: list[dict[str, Any]], parameters: Parameters | None) -> list[dict[str, Any]]:
    """Leave out the scores of less probable classes, as far as the request says so."""
    if parameters is None:
        return answers
    return [
        {**answer, "scores": dict(first(answer["scores"], parameters))} if "scores" in answer else answer
        for answer in answers
    ]


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
