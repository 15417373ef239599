"""The JSON Schemas of this version: of each command's document, of a failure, and of files that programs read.

They are made from the dataclasses and shapes that write the documents, so that they need no files of their own.
"""

from collections.abc import Mapping
from typing import Any

import toolkit
from toolkit.api.documents import analysis, deployment, explanation, plan, preparation, run_folders, training
from toolkit.api.documents.document import COMMANDS, SCHEMA_VERSION, Failure, envelope
from toolkit.api.documents.json_schema import DIALECT, of_dataclass, of_shape
from toolkit.errors import ConfigError
from toolkit.exporting.schema import Export
from toolkit.report.document import head
from toolkit.report.document.schema import REPORT

_DEFINED = (analysis, deployment, explanation, plan, preparation, run_folders, training)  # their import fills COMMANDS

_OF_EVERY_REPORT = ("schema_version", "toolkit_version", "created", "title", "command", "verdict")
_SUBJECTS = ("evaluation", "comparison", "seeds")  # of which a report has one
_RUN = {
    **{key: {"type": "string"} for key in ("command", "recipe", "created", "model")},
    "status": {"enum": ["running", "complete", "interrupted", "failed"]},
    "data": of_shape(REPORT["data"]) | {"type": "object", "additionalProperties": True},
    "labels": {"type": "array", "items": {"type": "string"}},
    "training": {"type": ["object", "null"]},
    "environment": {"type": "object"},
}
_LATER = ("training", "environment")  # written when they are known


def all_schemas() -> dict[str, dict[str, Any]]:
    """Return name → schema; a document of a command has its name, with a hyphen instead of a space."""
    commands = {name.replace(" ", "-"): _document(name) for name in sorted(COMMANDS)}
    files = {"report.json": _report(), "run.json": _run(), "export.json": _export()}
    return {**commands, "failure": _failure(), **files}


def find(name: str) -> dict[str, Any]:
    """Return a schema by its name.

    Raises:
        ConfigError: There is none of this name.
    """
    schemas = all_schemas()
    if name not in schemas:
        raise ConfigError(
            f"There is no schema `{name}`.", f"Give one of {', '.join(schemas)}.", id="config.unknown-choice"
        )
    return schemas[name]


def _head(name: str, version: int, title: str) -> dict[str, Any]:
    return {
        "$schema": DIALECT,
        "$id": f"urn:finetune-toolkit:schema:{name}:{version}",
        "title": title,
        "$comment": f"Of finetune-toolkit {toolkit.__version__}.",
    }


def _document(command: str) -> dict[str, Any]:
    title = f"Standard output of `toolkit {command} --json`"
    return _with_envelope(command.replace(" ", "-"), title, COMMANDS[command], {"const": command})


def _failure() -> dict[str, Any]:
    command = {"type": ["string", "null"], "description": "Name of the command; null where none was recognised."}
    return _with_envelope("failure", "Standard output of a command with `--json` that failed", Failure, command)


def _with_envelope(name: str, title: str, kind: type, command: Mapping[str, Any]) -> dict[str, Any]:
    body = of_dataclass(kind)
    first = {
        "command": dict(command),
        "toolkit_version": {"type": "string"},
        "schema_version": {"const": SCHEMA_VERSION},
    }
    assert first.keys() == envelope(None).keys()
    body["properties"] = {**first, **body["properties"]}
    body["required"] = list(body["properties"])
    return {**_head(name, SCHEMA_VERSION, title), **body}


def _report() -> dict[str, Any]:
    body = of_shape(REPORT)
    body["type"] = "object"
    body["properties"]["schema_version"] = {"const": head.SCHEMA_VERSION}
    for key in _OF_EVERY_REPORT[1:]:
        kept = body["properties"][key]
        body["properties"][key] = {**kept, "type": "object" if key == "verdict" else "string"}
    body["properties"]["verdict"]["required"] = list(REPORT["verdict"])
    subjects = [{"required": [key], "properties": {key: {"type": "object"}}} for key in _SUBJECTS]
    named = _head("report.json", head.SCHEMA_VERSION, "The report of an evaluation, a comparison or several seeds")
    return {**named, **body, "required": list(_OF_EVERY_REPORT), "oneOf": subjects}


def _run() -> dict[str, Any]:
    named = _head("run.json", SCHEMA_VERSION, "The record of a run directory; it may have further keys")
    required = [key for key in _RUN if key not in _LATER]
    return {**named, "type": "object", "properties": _RUN, "required": required}


def _export() -> dict[str, Any]:
    named = _head("export.json", SCHEMA_VERSION, "The record of an export; other keys are those of transformers")
    return {
        **named,
        **Export.model_json_schema(mode="serialization"),
        "title": named["title"],
        "additionalProperties": True,
    }
