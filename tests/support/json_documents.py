"""Documents of `--json`, validated with an independent implementation of JSON Schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema

from tests.support.cli import Outcome
from toolkit.api.documents.schemas import all_schemas

SCHEMAS = all_schemas()


def problems(name: str, content: Any) -> list[str]:
    """Return every part of a document that its schema does not allow."""
    validator = jsonschema.Draft202012Validator(SCHEMAS[name])
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(content)]


def document(outcome: Outcome, name: str) -> dict[str, Any]:
    """Return the only content of standard output, of which the schema `name` must be true."""
    content: dict[str, Any] = json.loads(outcome.out, parse_constant=_refuse)
    assert problems(name, content) == []
    return content


def check_file(path: Path, name: str) -> None:
    """Fail unless the schema `name` is true of a file."""
    assert problems(name, json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)) == []


def _refuse(word: str) -> float:
    raise AssertionError(f"{word} is not JSON")
