"""Values of a run's files that remember where they are from, and their texts.

A `Node` is a value with its file and its key there, in the syntax of jq and yq (`evaluation.metrics[0].value`). Filling
walks from node to node, so that no figure can be shown without the key by which it can be looked up.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from toolkit.report import formats
from toolkit.report.document.portable import portable

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 1000  # characters of a text from a run
NOTHING = "–"  # shown where there is no value


@dataclass(frozen=True)
class Node:
    """A value in a file.

    Attributes:
        file: Path of the file in the run directory.
        key: Where the value is in it; "" for all of it.
        value: The value; None where the file does not have it.
    """

    file: str
    key: str
    value: Any

    def __getitem__(self, name: str | int) -> "Node":
        if isinstance(name, int):
            there = isinstance(self.value, list) and name < len(self.value)
            return Node(self.file, f"{self.key}[{name}]", self.value[name] if there else None)
        if _PLAIN_KEY.fullmatch(name):
            key = f"{self.key}.{name}" if self.key else name
        else:
            escaped = name.replace("\\", "\\\\").replace('"', '\\"')
            key = f'{self.key}["{escaped}"]'
        return Node(self.file, key, self.value.get(name) if isinstance(self.value, dict) else None)

    def __iter__(self) -> Iterator["Node"]:
        """Yield the entries of a list."""
        return (self[number] for number in range(len(self.value))) if isinstance(self.value, list) else iter(())

    def items(self) -> Iterator[tuple[str, "Node"]]:
        """Yield the entries of a mapping with their names."""
        return ((name, self[name]) for name in self.value) if isinstance(self.value, dict) else iter(())

    def __bool__(self) -> bool:
        """Whether there is a value, which may be 0 or false, in it or anywhere below."""
        return _has_value(self.value)

    @property
    def source(self) -> str:
        """File and key."""
        return f"{self.file}: {self.key}" if self.key else self.file


def _has_value(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_value, value.values() if isinstance(value, dict) else value))
    return value not in (None, "")


@dataclass(frozen=True)
class Figure:
    """A value as the documentation shows it.

    Attributes:
        text: What is shown.
        node: The value and where it is from.
    """

    text: str
    node: Node


def plain(node: Node) -> Figure:
    """Show a text, a number or a truth value as it is."""
    value = node.value
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, int | float):
        text = formats.count(value) if isinstance(value, int) else f"{value:.10g}"
    elif isinstance(value, list | dict):
        items = value if isinstance(value, list) else [f"{name}: {item}" for name, item in value.items()]
        text = ", ".join(str(portable(item)) for item in items) or NOTHING
    else:
        text = NOTHING if value in (None, "") else str(portable(str(value)))
    return Figure(formats.clip(text, _LONGEST), node)


def exact(node: Node) -> Figure:
    """Show a number without separators of thousands, as a seed or a key of the configuration; others as they are."""
    number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    return Figure(f"{node.value:.10g}", node) if number else plain(node)


def measure(node: Node, unit: str, signed: bool = False) -> Figure:
    """Show a metric in its unit."""
    return Figure(formats.measure(node.value, unit, signed), node)


def estimate(node: Node, unit: str, signed: bool = False) -> Figure:
    """Show a metric with its interval; the node is a mapping with `value`, `low` and `high`."""
    found = node.value or {}
    if found.get("value") is None:
        return Figure(NOTHING, node)
    ends = {name: found.get(name) for name in ("value", "low", "high")}
    return Figure(formats.estimate(ends, unit, signed), Node(node.file, node.key, ends))


def size(node: Node) -> Figure:
    """Show a number of bytes."""
    return Figure(formats.size(node.value), node)


def duration(node: Node) -> Figure:
    """Show a number of seconds."""
    return Figure(formats.duration(node.value), node)


def p_value(node: Node) -> Figure:
    """Show a p-value."""
    return Figure(formats.p_value(node.value), node)
