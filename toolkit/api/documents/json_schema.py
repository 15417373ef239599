"""JSON Schemas (draft 2020-12) of documents and files, made from their dataclasses and shapes."""

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: dict[Any, dict[str, Any]] = {
    Any: {},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},  # null where it is not finite
    types.NoneType: {"type": "null"},
    Path: {"type": "string"},
}
_INTERVAL = ("value", "low", "high")


class Shape:
    """Marks a field whose value has a shape in the notation of `toolkit.report.document.schema`.

    Args:
        shape: The shape.
    """

    def __init__(self, shape: Any) -> None:
        self.shape = shape


def of_type(kind: Any) -> dict[str, Any]:
    """Return the schema of a type: a dataclass, a list or a mapping of a type, a union, a literal or a plain type.

    Raises:
        TypeError: JSON has nothing for the type.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return next((of_shape(part.shape) for part in parts[1:] if isinstance(part, Shape)), of_type(parts[0]))
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if origin is Literal:
        return {"enum": list(parts)}
    if origin in (Union, types.UnionType):
        return _either([of_type(part) for part in parts])
    if origin in (list, tuple, Sequence):
        return {"type": "array", "items": of_type(parts[0])}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": of_type(parts[1])}
    if is_dataclass(kind):
        return of_dataclass(kind)
    raise TypeError(f"{kind!r} has no JSON Schema.")


def of_dataclass(kind: Any) -> dict[str, Any]:
    """Return the schema of a dataclass: every field is required, and there are no others."""
    hints, meanings = get_type_hints(kind, include_extras=True), described(kind)
    properties = {}
    for field in fields(kind):
        meaning = meanings.get(field.name)
        properties[field.name] = {**({"description": meaning} if meaning else {}), **of_type(hints[field.name])}
    summary = (getdoc(kind) or "").partition("\n")[0]
    return {
        "description": summary,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def of_shape(shape: Any) -> dict[str, Any]:
    """Return the schema of a shape: any key may be missing or null, but an interval has all of its ends.

    {str: x} is a dictionary of x under names that are not known beforehand.
    """
    if shape == {}:
        return {}
    if isinstance(shape, dict) and set(shape) == {str}:
        return {"type": ["object", "null"], "additionalProperties": of_shape(shape[str])}
    if isinstance(shape, dict):
        required = {"required": list(_INTERVAL)} if all(key in shape for key in _INTERVAL) else {}
        return {
            "type": ["object", "null"],
            "properties": {key: of_shape(part) for key, part in shape.items()},
            **required,
            "additionalProperties": False,
        }
    if isinstance(shape, list):
        return {"type": ["array", "null"], "items": of_shape(shape[0])}
    return {"type": [{float: "number", str: "string", bool: "boolean"}[shape], "null"]}


def described(kind: Any) -> dict[str, str]:
    """Return the meaning of each field from the sections "Attributes:" of a class and its bases."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        section = (getdoc(base) or "").partition("\nAttributes:\n")[2].partition("\n\n")[0]
        entries = re.split(r"^ {4}(\w+): ", section, flags=re.MULTILINE)[1:]
        meanings |= {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}
    return meanings


def _either(options: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of a union; one type or null is written as a list of types."""
    if all(option.keys() == {"type"} for option in options):
        named = [name for option in options for name in _listed(option["type"])]
        return {"type": list(dict.fromkeys(named))}
    return {"anyOf": options}


def _listed(names: Any) -> list[str]:
    return [names] if isinstance(names, str) else names
