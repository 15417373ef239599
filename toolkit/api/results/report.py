"""A report in Python: the dictionary of report.json, shown as a page in a notebook, and its metrics."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.report import formats
from toolkit.report.pages.render import to_html

HEIGHT = 720  # pixels of a page in a notebook


@dataclass(frozen=True)
class Figure:
    """A metric with its interval.

    Attributes:
        title: As reports name it.
        unit: "fraction", "score", "points", or "value": in the unit of the data.
        value: The estimate; `float(figure)` is the same.
        low: Lower end of the interval; None where there is none.
        high: Its upper end.
    """

    title: str
    unit: str
    value: float
    low: float | None
    high: float | None

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        cell = {"value": self.value, "low": self.low, "high": self.high}
        return f"{self.title} {formats.estimate(cell, self.unit)}"


class Report(dict[str, Any]):
    """The dictionary of report.json, which a notebook shows as the page that report.html is."""

    def __repr__(self) -> str:
        return f"<Report: {headline(self)}>"

    def _repr_html_(self) -> str:
        return framed(to_html(self))


def framed(page: str, *, scripts: bool = False) -> str:
    """Return a page as an element with isolated styles and scripts.

    Args:
        page: A self-contained HTML page.
        scripts: Whether its own scripts may run; they reach nothing outside of the frame.
    """
    sandbox = "allow-scripts" if scripts else ""
    style = f"width: 100%; height: {HEIGHT}px; border: 0"
    return f'<iframe sandbox="{sandbox}" style="{style}" srcdoc="{html.escape(page)}"></iframe>'


def headline(report: Mapping[str, Any]) -> str:
    """Return the verdict in one sentence."""
    return str((report.get("verdict") or {}).get("headline", ""))


def metrics(report: Mapping[str, Any]) -> dict[str, Figure]:
    """Return the metrics of a report by name: those of an evaluation, or the means over several seeds."""
    figures = report["seeds"]["summary"] if "seeds" in report else report["evaluation"]["metrics"]
    return {
        figure["name"]: Figure(figure["title"], figure["unit"], figure["value"], figure.get("low"), figure.get("high"))
        for figure in figures
    }
