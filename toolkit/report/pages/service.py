"""The page that sends inputs to a served model."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit import __version__
from toolkit.report.pages.render import environment
from toolkit.report.plots import attention_maps
from toolkit.tasks.task import Column


def page(described: Mapping[str, Any], inputs: Sequence[Column], characters: int) -> str:
    """One self-contained page; its policy allows one script, by its hash, and connections to this server only.

    Args:
        described: Of the model: "model", "task", "labels", "calibrated", "explains".
        inputs: The fields of one input.
        characters: How long a text may be.
    """
    fields = [
        {
            "role": c.role,
            "kind": c.kind.name,
            "file": c.kind.files is not None,
            "noun": c.kind.nouns[0],
            "required": c.required,
            "title": c.role.replace("_", " ").capitalize(),
        }
        for c in inputs
    ]
    return (
        environment("html")
        .get_template("app/app.html.j2")
        .render(
            **described,
            inputs=fields,
            characters=characters,
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
    return [
        {
            "path": path,
            "method": method.upper(),
            "summary": operation["summary"],
            "asked": _contents(operation.get("requestBody", {})),
            "answered": _contents(operation["responses"]["200"]),
            "problems": [(code, item["description"]) for code, item in operation["responses"].items() if code != "200"],
        }
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def _contents(part: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(media, _text(item["schema"])) for media, item in part.get("content", {}).items()]


def _text(schema: Mapping[str, Any]) -> str:
    """Return a schema as indented JSON."""
    return json.dumps(schema, indent=2, ensure_ascii=False)
