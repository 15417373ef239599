"""Measured values and paired differences as they are written in sentences."""

from collections.abc import Mapping
from typing import Any

from toolkit.report.document.differences import is_better, is_worse, upward


def shown(value: float, unit: str) -> str:
    """Format a metric: 83.9 % for a fraction, 0.678 for a score, 31.4 for points."""
    scale, places, _ = scale_of(unit)
    return f"{scale * value:.{places}f}{' %' if unit == 'fraction' else ''}"


def scale_of(unit: str) -> tuple[int, int, str]:
    """Return how a difference is printed: the factor, the decimals, and the suffix."""
    return {"fraction": (100, 1, " points"), "points": (1, 1, " points")}.get(unit, (1, 3, ""))


def bounds(figure: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Format the interval of a figure in parentheses; empty where it has none."""
    if figure.get("low") is None:
        return ""
    level = f"{100 * evaluation['confidence']:g} %"
    scale, places, _ = scale_of(figure["unit"])
    return f" ({level} interval {scale * figure['low']:.{places}f} to {scale * figure['high']:.{places}f})"


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
    scale, places, after = scale_of(unit)
    value, low, high = (scale * difference[key] for key in ("value", "low", "high"))
    interval = f"({100 * confidence:.4g} % interval {low:.{places}f} to {high:.{places}f})"
    return f"{abs(value):.{places}f}{after}", f"{value:+.{places}f}{after}", interval
