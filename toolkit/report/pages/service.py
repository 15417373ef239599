"""The page that sends inputs to a served model."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit import __version__
from toolkit.report.pages.render import environment
from toolkit.report.plots import attention_maps
from toolkit.tasks.task import Column


def page(
    described: Mapping[str, Any],
    inputs: Sequence[Column],
    limits: Any,
    example: Mapping[str, str],
    beside: str | None = None,
) -> str:
    """One self-contained page; its policy allows one script, by its hash, and connections to this server only.

    Args:
        described: Of the model: "model", "task", "labels", "calibrated", "explains".
        inputs: The fields of one input.
        limits: How long a text, and how large a file of rows, may be.
        example: Role → text that the fields begin with.
        beside: Name of a second model, if predictions are compared.
    """
    fields = [
        {
            "role": c.role,
            "kind": c.kind.name,
            "file": c.kind.files is not None,
            "noun": c.kind.nouns[0],
            "required": c.required,
            "title": c.role.replace("_", " ").capitalize(),
            "names": [c.role, *(name for name in c.names if "{" not in name)],
        }
        for c in inputs
    ]
    return (
        environment("html")
        .get_template("app/app.html.j2")
        .render(
            **described,
            inputs=fields,
            rows=not any(field["file"] for field in fields),
            characters=limits.characters,
            megabytes=limits.body_bytes / 1e6,
            example=example,
            beside=beside,
            toolkit_version=__version__,
            **attention_maps.script("app/app.js"),
        )
    )


def reference(described: Mapping[str, Any]) -> str:
    """One page without scripts that shows a description in OpenAPI.

    Args:
        described: The description.
    """
    schemas = {name: _text(schema) for name, schema in described["components"]["schemas"].items()}
    return (
        environment("html")
        .get_template("app/reference.html.j2")
        .render(info=described["info"], operations=_operations(described), schemas=schemas, toolkit_version=__version__)
    )


def _operations(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each route with the schemas of its request and of its responses, as text."""
    schemas = described["components"]["schemas"]
    return [
        {
            "path": path,
            "method": method.upper(),
            "summary": operation["summary"],
            "asked": _contents(operation.get("requestBody", {}), schemas),
            "examples": _examples(operation.get("requestBody", {})),
            "answered": _contents(operation["responses"]["200"], schemas),
            "problems": [(code, item["description"]) for code, item in operation["responses"].items() if code != "200"],
        }
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def _contents(part: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each media type with its schema; of a reference, what it refers to."""
    written = {media: item["schema"] for media, item in part.get("content", {}).items()}
    names = {media: str(schema.get("$ref", "")).rpartition("/")[2] for media, schema in written.items()}
    return [(media, _text(schemas.get(names[media], schema))) for media, schema in written.items()]


def _examples(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return each media type with its example."""
    return [(media, _text(item["example"])) for media, item in part.get("content", {}).items() if "example" in item]


def _text(schema: Mapping[str, Any]) -> str:
    """Return a schema or an example as indented JSON."""
    return json.dumps(schema, indent=2, ensure_ascii=False)
