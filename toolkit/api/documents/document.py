"""What every document of `--json` has, and its conversion to JSON.

A document is a dataclass whose fields are the keys. `toolkit.api.documents.json_schema` describes them by the types of
the fields and the text of the docstring, so that the schema cannot differ from the document.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import toolkit
from toolkit.runs.inventory import Figure

SCHEMA_VERSION = 1  # of all documents of commands; increased when a key goes or changes its meaning
COMMANDS: "dict[str, type[Document]]" = {}  # name of a command → its document


@dataclass(frozen=True)
class Problem:
    """Why a command failed.

    Attributes:
        id: Names the cause, as AREA.NAME.
        problem: What is wrong, and where.
        fix: What to do next.
        exit_code: Of the command.
    """

    id: str
    problem: str
    fix: str
    exit_code: int


@dataclass(frozen=True)
class Failure:
    """What a command with `--json` prints when it fails.

    Attributes:
        error: The cause.
    """

    error: Problem


class Document:
    """The result of a command.

    Attributes:
        command: Name of the command; each subclass gives its own.
    """

    command: ClassVar[str]

    def __init_subclass__(cls, *, command: str) -> None:
        super().__init_subclass__()
        cls.command = command
        COMMANDS[command] = cls

    def as_json(self) -> dict[str, Any]:
        """Return the document with its first keys, as JSON holds it."""
        return {**envelope(self.command), **as_json(self)}


def envelope(command: str | None) -> dict[str, Any]:
    """Return the first keys of every document.

    Args:
        command: Name of the command; None where the command line names none.
    """
    return {"command": command, "toolkit_version": toolkit.__version__, "schema_version": SCHEMA_VERSION}


@dataclass(frozen=True)
class Verdict:
    """The summary of a report.

    Attributes:
        headline: In one sentence.
        statements: Further results.
        warnings: What limits them.
    """

    headline: str
    statements: list[str]
    warnings: list[str]

    @classmethod
    def of(cls, verdict: Mapping[str, Any]) -> "Verdict":
        """Return the verdict of a report."""
        return cls(verdict["headline"], list(verdict["statements"]), list(verdict["warnings"]))


@dataclass(frozen=True)
class Advised:
    """A piece of advice.

    Attributes:
        id: Names the kind of advice.
        evidence: What was measured.
        advice: What to do.
        command: Command line that does it; null where there is none.
    """

    id: str
    evidence: str
    advice: str
    command: str | None

    @classmethod
    def of(cls, pieces: Any) -> "list[Advised]":
        """Convert the advice of a report or of a search."""
        return [cls(piece["id"], piece["evidence"], piece["advice"], piece["command"]) for piece in pieces]


def figures(cells: Any) -> list[Figure]:
    """Return the metrics of a report."""
    return [
        Figure(
            *(cell["name"], cell["title"], cell["unit"], cell["value"], cell.get("low"), cell.get("high")),
            better=cell.get("better") or "higher",
        )
        for cell in cells
    ]


def as_json(value: Any) -> Any:
    """Return a value as JSON holds it: a number that is not finite is null, and what JSON does not have is a text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "model_dump"):  # of pydantic
        return as_json(value.model_dump())
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return as_json(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | bool | int) else str(value)


def place(path: str | Path | None) -> str | None:
    """Return a path as a text; None where there is none."""
    return None if path is None else str(path)
