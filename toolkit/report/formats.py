"""Formatting of numbers and texts, and escaping for Markdown."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

TEXT_LENGTH = 400

_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_DASH = "–"  # for a missing number
_DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # would reorder the text around them
_MARKDOWN_START = re.compile(
    r"(?i)(?<=http):(?=//)|(?<=https):(?=//)|(?<=ftp):(?=//)|(?<=www)\.|^[-+=](?=[-+=\s]*(?:\s|$))|^\d+[.)](?=\s|$)"
)  # links, lists, rules


def count(value: float | None) -> str:
    """A whole number with thousands separators: 22,713,986."""
    if value is None:
        return _DASH
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def metric_title(metric: Mapping[str, Any]) -> str:
    """The display name of a metric: with its positive class, its figure at random, its direction if not upward."""
    title = str(metric["title"] or metric["name"])
    title += f" of “{metric['positive']}”" if metric.get("positive") else ""
    title += f" ({100 * metric['base_rate']:.1f} % at random)" if metric.get("base_rate") is not None else ""
    return f"{title} (lower is better)" if metric.get("better") == "lower" else title


def number(value: float, signed: bool = False) -> str:
    """A value in the unit of the data, with four significant digits or more: 20,818 or 0.01234."""
    size, sign = abs(value), "+" if signed else ""
    if size >= 1e9 or 0 < size < 1e-5:
        return f"{value:{sign}.4g}"
    decimals = max(0, 3 - math.floor(math.log10(size))) if size else 0
    return f"{value:{sign},.{decimals}f}"


def measure(value: float | None, unit: str, signed: bool = False) -> str:
    """A metric: a fraction as percent with one decimal, a score with three, points with one; differences `signed`."""
    if value is None:
        return _DASH
    if unit == "value":
        return number(value, signed).replace("-", "−")
    scaled = value * 100 if unit == "fraction" else value
    if abs(scaled) >= 1e9:
        return f"{scaled:{'+' if signed else ''}.3g}".replace("-", "−")
    decimals = 1 if unit in ("fraction", "points") or abs(scaled) >= 100 else 3
    text = f"{scaled:{'+' if signed else ''},.{decimals}f}".replace("-", "−")
    return f"{text} {'points' if signed else '%'}" if unit == "fraction" else text


def interval(low: float | None, high: float | None, unit: str, signed: bool = False) -> str:
    """Both ends of an interval without their unit, 81.8 to 85.8; empty where an end is missing."""
    if low is None or high is None:
        return ""
    return " to ".join(measure(end, unit, signed).removesuffix(" %").removesuffix(" points") for end in (low, high))


def estimate(cell: Mapping[str, float | None] | None, unit: str, signed: bool = False) -> str:
    """A measured value with its interval in brackets: 83.9 % (81.8 to 85.8)."""
    if cell is None:
        return _DASH
    ends = interval(cell["low"], cell["high"], unit, signed)
    return measure(cell["value"], unit, signed) + (f" ({ends})" if ends else "")


def p_value(p: float | None) -> str:
    """A p-value with three decimals."""
    if p is None:
        return _DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float | None) -> str:
    """A duration: 8.4 s, 2 min 10 s, 1 h 4 min."""
    if seconds is None:
        return _DASH
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def size(value: float | None) -> str:
    """Bytes in decimal units: 90.9 MB."""
    if value is None:
        return _DASH
    power = next((power for power in (12, 9, 6, 3) if value >= 10**power), 0)
    return f"{value / 10**power:.1f} {({3: 'kB', 6: 'MB', 9: 'GB', 12: 'TB'})[power]}" if power else f"{value:g} bytes"


def date(text: str) -> str:
    """An ISO 8601 time as a date with its time in UTC; any other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return text
    return f"{moment.day} {moment:%B %Y, %H:%M}{' UTC' if moment.tzinfo else ''}"


def clip(text: str, length: int = TEXT_LENGTH) -> str:
    """The text, cut at `length` characters with an ellipsis."""
    return text if len(text) <= length else text[:length].rstrip() + "…"


def unbroken(text: str) -> str:
    """The text with its percent signs tied to their numbers, so that no line begins with one."""
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", text)


def code_html(text: str) -> Markup:
    """The text for HTML, its parts in backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def code_markdown(text: str) -> Markup:
    """The text for Markdown, escaped but for its parts in backticks, which stay code."""
    parts = _CODE.split(_on_one_line(text))  # every second one was in backticks
    return Markup("".join(f"`{part}`" if number % 2 else _escaped(part) for number, part in enumerate(parts)))


def escape_markdown(value: object) -> str:
    """Text that Markdown shows as it is, on one line, in a paragraph, a list or a table cell.

    Backslashes escape GitHub Markdown's markup; `<`, `>` and `&` become entities, which older readers
    understand too. Values marked as safe pass.
    """
    if isinstance(value, Markup):
        return str(value)
    return _escaped(_on_one_line(str(value)))


def _on_one_line(text: str) -> str:
    return " ".join(_DIRECTION_MARKS.sub("", text).split())


def _escaped(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_\[\]{}#|~$])", r"\\\1", text)
    return _MARKDOWN_START.sub(lambda match: f"{match[0][:-1]}\\{match[0][-1]}", text)


def fenced(text: str, language: str = "") -> Markup:
    """A fenced code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{language}\n{text.strip()}\n{fence}")  # inside a fence nothing is markup
