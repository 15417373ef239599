"""Which is better, by the interval of a paired difference (the figure of the first minus that of the second)."""

from collections.abc import Mapping
from typing import Any


def is_better(difference: Mapping[str, Any]) -> bool:
    """Whether the first is significantly better."""
    return is_worse(turned(difference))


def is_worse(difference: Mapping[str, Any]) -> bool:
    """Whether the first is significantly worse: lower, or higher where "better" is "lower", as of an error."""
    return bool(difference["low"] > 0 if difference.get("better") == "lower" else difference["high"] < 0)


def turned(difference: Mapping[str, Any]) -> dict[str, Any]:
    """Return the difference with the two models exchanged."""
    return {**difference, "value": -difference["value"], "low": -difference["high"], "high": -difference["low"]}


def upward(difference: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a difference without its sign, where its interval is below zero."""
    return turned(difference) if difference["high"] < 0 else difference
