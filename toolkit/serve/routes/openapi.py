"""The description of the service in OpenAPI, for the inputs of its model."""

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, TypeAdapter

import toolkit
from toolkit.serve.messages import Explanation, Health, Info, Prediction, Predictions, Problem, Requests
from toolkit.serve.routes.bodies import NDJSON
from toolkit.serve.routes.pipelines import Pipeline

JSON = "application/json"
PROBLEMS = {
    400: "The request is not valid HTTP, or its host name is not allowed",
    405: "The route has other methods",
    408: "The request did not arrive in time",
    413: "The request is too large",
    415: "The body is not JSON",
    422: "The body does not fit the schema",
    500: "The model failed",
    503: "Too many requests are waiting",
    504: "The response took too long",
}


class _Schemas:
    """Schemas of types; those with a name are components."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        """Return the schema of a type."""
        adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
        schema = adapter.json_schema(ref_template="#/components/schemas/{model}")
        self.components |= schema.pop("$defs", {})
        if isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind)):
            self.components[kind.__name__] = schema
            return {"$ref": f"#/components/schemas/{kind.__name__}"}
        return schema


def document(
    name: str,
    requests: Requests,
    *,
    explains: bool,
    pipeline: Pipeline | None,
    files: Sequence[str],
    example: Mapping[str, Any] | None = None,
) -> Any:
    """Return the description.

    Args:
        name: Of the model.
        requests: The types of requests.
        explains: Whether predictions are explained.
        pipeline: The form of the answers to `POST /`; None where it is not offered.
        files: Media types of a body that is one file; none where inputs are no files.
        example: An input, as role → value; None where none can be written in JSON.
    """
    schemas = _Schemas()
    several = None if example is None else {"inputs": [example]}
    one = None if example is None else {"input": example}
    asked, line = schemas.of(requests.ask), schemas.of(requests.line)
    ndjson = NDJSON[0]
    predicted = {JSON: schemas.of(Predictions), ndjson: schemas.of(Prediction | Problem)}
    paths: dict[str, Any] = {
        "/predict": {
            "post": _operation(
                "Predict inputs, each independently",
                schemas,
                predicted,
                {JSON: asked, ndjson: line},
                {JSON: several, ndjson: example},
            )
        },
        "/health": {"get": _operation("The state of the service", schemas, {JSON: schemas.of(Health)})},
        "/info": {"get": _operation("The model, versions and limits", schemas, {JSON: schemas.of(Info)})},
        "/metrics": {"get": _operation("Metrics for Prometheus", schemas, {"text/plain": {"type": "string"}})},
    }
    if explains:
        why, explained = schemas.of(requests.why), schemas.of(Explanation)
        paths["/explain"] = {
            "post": _operation(
                "Explain the prediction of one input",
                schemas,
                {JSON: explained},
                {JSON: why},
                {JSON: one},
            )
        }
    if pipeline is not None:
        body = {JSON: asked} | {media: {"type": "string", "format": "binary"} for media in files}
        title = "Predict as a pipeline of transformers does, for clients of Inference Endpoints"
        answered = {JSON: schemas.of(pipeline.response)}
        paths["/"] = {"post": _operation(title, schemas, answered, body, {JSON: several})}
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "summary": "Predictions of a fine-tuned model.", "version": toolkit.__version__},
        "paths": paths,
        "components": {"schemas": schemas.components},
    }


def _operation(
    summary: str,
    schemas: _Schemas,
    answered: Mapping[str, Any],
    asked: Mapping[str, Any] | None = None,
    examples: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Describe a route.

    Args:
        summary: What it does.
        schemas: Collects components.
        answered: Media type of a response → its schema.
        asked: Media type of a request → its schema; None for one without a body.
        examples: Media type of a request → an example, or None.
    """
    problem = {JSON: {"schema": schemas.of(Problem)}}
    responses = {"200": {"description": summary, "content": _content(answered)}}
    responses |= {str(code): {"description": about, "content": problem} for code, about in PROBLEMS.items()}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if asked is not None:
        content = _content(asked)
        for media, example in examples.items():
            content[media] |= {} if example is None else {"example": example}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _content(schemas: Mapping[str, Any]) -> dict[str, Any]:
    return {media: {"schema": schema} for media, schema in schemas.items()}
