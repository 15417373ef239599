"""Measured values and paired differences as they are written in sentences.

A difference is the figure of the first minus that of the second; which is better follows from its interval.
"""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

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
    level = f"{100 * evaluation['confidence']:.4g} %"
    low, high = (bare(figure[end], figure["unit"]) for end in ("low", "high"))
    return f" ({level} interval {low} to {high})"


def sizes(difference: Mapping[str, Any], unit: str, confidence: float) -> tuple[str, str, str]:
    """Format a difference without its sign, with it, and its interval."""
    value, after = difference["value"], suffix(unit)
    low, high = (bare(difference[end], unit) for end in ("low", "high"))
    interval = f"({100 * confidence:.4g} % interval {low} to {high})"
    return f"{bare(abs(value), unit)}{after}", f"{bare(value, unit, signed=True)}{after}", interval


def detectable(difference: Mapping[str, Any], unit: str, confidence: float, rows: float) -> str:
    """Say which difference these rows show with a probability of 80 %, and how many show one point; "" if not known.

    With the standard error s that is (z of the level + 0.84) s, at 95 % about 2.8 s, and s falls with the root of the
    number of rows (Cohen 1988, "Statistical Power Analysis for the Behavioral Sciences").
    """
    error = difference.get("standard_error")
    if not error:
        return ""
    size = (NormalDist().inv_cdf(0.5 + confidence / 2) + NormalDist().inv_cdf(0.8)) * error
    text = f" These {rows:,} rows show a difference of about {bare(size, unit)}{suffix(unit)} with a power of 80 %"
    point = {"fraction": 0.01, "points": 1.0}.get(unit)
    if point is None or size <= point:
        return f"{text}."
    return f"{text}; 1 point needs about {float(f'{rows * (size / point) ** 2:.2g}'):,.0f}."


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
