"""Measured values and paired differences as they are written in sentences."""

from collections.abc import Mapping
from typing import Any

from toolkit.report.document.differences import is_better, is_worse, upward
from toolkit.report.formats import number


def shown(value: float, unit: str) -> str:
    """Format a metric: 83.9 % for a fraction, 0.678 for a score, 31.4 for points, 20,818 for a value."""
    return f"{bare(value, unit)}{' %' if unit == 'fraction' else ''}"


def bare(value: float, unit: str, signed: bool = False, extra: int = 0) -> str:
    """Format a metric or a difference without its unit, with `extra` decimals more than usual."""
    if unit == "value":
        return number(value, signed)
    scale, places = {"fraction": (100, 1), "points": (1, 1)}.get(unit, (1, 3))
    return f"{scale * value:{'+' if signed else ''}.{places + extra}f}"


def suffix(unit: str) -> str:
    """Return what follows a difference."""
    return " points" if unit in ("fraction", "points") else ""


def bounds(figure: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Format the interval of a figure in parentheses; empty where it has none."""
    if figure.get("low") is None:
        return ""
    level = f"{100 * evaluation['confidence']:g} %"
    low, high = (bare(figure[end], figure["unit"]) for end in ("low", "high"))
    return f" ({level} interval {low} to {high})"


def compared(name: str, difference: Mapping[str, Any], evaluation: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    """Describe a paired difference; where its interval contains zero it is not significant."""
    subject = name[0].lower() + name[1:] if name[1:2].islower() else name
    _, signed, interval = sizes(difference, figure["unit"], evaluation["confidence"])
    size, _, above_zero = sizes(upward(difference), figure["unit"], evaluation["confidence"])
    if is_better(difference):
        return f"Better than {subject} by {size} {above_zero}."
    if is_worse(difference):
        return f"Worse than {subject} by {size} {above_zero}."
    return f"No significant difference from {subject}: {signed} {interval}."


def sizes(difference: Mapping[str, Any], unit: str, confidence: float) -> tuple[str, str, str]:
    """Format a difference without its sign, with it, and its interval."""
    value, after = difference["value"], suffix(unit)
    low, high = (bare(difference[end], unit) for end in ("low", "high"))
    interval = f"({100 * confidence:.4g} % interval {low} to {high})"
    return f"{bare(abs(value), unit)}{after}", f"{bare(value, unit, signed=True)}{after}", interval
