"""The JSON Schemas of this version: of each command's document, of a failure, and of files that programs read.

They are made from the dataclasses and shapes that write the documents, so that they need no files of their own.
"""

from collections.abc import Mapping
from typing import Any

from toolkit.api.documents import (
    analysis,
    deployment,
    explanation,
    file_schemas,
    plan,
    preparation,
    run_folders,
    training,
)
from toolkit.api.documents.document import COMMANDS, SCHEMA_VERSION, Failure, envelope
from toolkit.api.documents.json_schema import of_dataclass
from toolkit.errors import ConfigError

_DEFINED = (analysis, deployment, explanation, plan, preparation, run_folders, training)  # their import fills COMMANDS


def all_schemas() -> dict[str, dict[str, Any]]:
    """Return name → schema; a document of a command has its name, with a hyphen instead of a space."""
    commands = {name.replace(" ", "-"): _document(name) for name in sorted(COMMANDS)}
    return {**commands, "failure": _failure(), **file_schemas.all_schemas()}


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
    return {**file_schemas.head_of(name, SCHEMA_VERSION, title), **body}
