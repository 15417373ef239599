"""What inputs that are files have in common: pictures and recordings."""

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa

from toolkit.data.media import columns
from toolkit.data.media.columns import Medium
from toolkit.tasks.task import Reading, Values


def reader(medium: Medium) -> Callable[[Sequence[Any], str, Reading], Values]:
    """Return what decodes the files that rows hold or name; predictions are written next to the name of each."""

    def read(values: Sequence[Any], name: str, reading: Reading) -> Values:
        raw = columns.column(pa.chunked_array([pa.array(values)]), [""] * len(values), reading.root, medium)
        column, reasons = columns.inspected(raw, medium, reading.data)
        shown: list[Any] = []
        problems: list[str | None] = []
        for number, (value, problem) in enumerate(zip(values, reasons, strict=True)):
            called = value if isinstance(value, str) else _called(raw[number].as_py())
            shown.append(called)
            named = f"`{called}`" if called else f"the {medium.nouns[0]}"
            problems.append(f"`{name}` is empty" if value is None else problem and f"{named} {problem}")
        return Values(column, problems, shown)

    return read


def _called(value: Mapping[str, Any] | None) -> str | None:
    return columns.name(value) or None if value else None


def named(medium: Medium) -> Callable[[Sequence[Any], Path], Sequence[Path]]:
    """Return what finds the files that values name: (values, their table or folder) → paths."""

    def files(values: Sequence[Any], source: Path) -> Sequence[Path]:
        names = [value for value in values if isinstance(value, str)]
        found = columns.column(pa.chunked_array([pa.array(names, pa.string())]), [""] * len(names), source, medium)
        return [Path(value["path"]) for value in found.to_pylist() if value["path"]]

    return files


def json(_most: int) -> Any:
    """Return the type of a file in a request: base64."""
    from pydantic import Field

    return Annotated[str, Field(min_length=1)]


def of_json(text: str) -> dict[str, bytes]:
    """Decode base64, also of a data address as browsers make them.

    Raises:
        ValueError: It is not written in base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    return {"bytes": base64.b64decode(text, validate=True)}
