"""The blocks of which a section of the report consists: paragraphs, tables, pictures and examples.

A section holds content, and the templates define how each kind of block looks, so a new section needs no new markup.
All texts are plain; the templates escape them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from toolkit.report import formats
from toolkit.report.plots import geometry


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: The text.
        small: A second line in small print, such as an interval.
        alert: A highlighted second line.
    """

    text: str
    small: str = ""
    alert: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Attributes:
        title: Its caption.
        columns: Headings; the first column is set as words, the others as numbers.
        rows: Cells, as many in each row as there are columns.
        words: Numbers of further columns that hold words.
    """

    kind: ClassVar[str] = "table"
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Forest:
    """Figures with their intervals on one axis.

    Attributes:
        title: What is measured.
        rows: (name, {"value", "low", "high", "unit"}) of each.
        plot: Where they lie on the axis.
        model: Whether the first row is the model that the others are compared with.
        caption: A sentence below.
    """

    kind: ClassVar[str] = "forest"
    title: str
    rows: Sequence[tuple[str, dict[str, Any]]]
    plot: geometry.IntervalPlot
    model: bool = False
    caption: str = ""


@dataclass(frozen=True)
class Reliability:
    """Accuracy against confidence."""

    kind: ClassVar[str] = "reliability"
    plot: geometry.ReliabilityPlot
    caption: str = ""


@dataclass(frozen=True)
class Scatter:
    """A point for each row.

    Attributes:
        title: What is drawn.
        plot: Where the points lie.
        x: What the horizontal axis is.
        caption: A sentence below.
    """

    kind: ClassVar[str] = "scatter"
    title: str
    plot: geometry.ScatterPlot
    x: str
    caption: str = ""


@dataclass(frozen=True)
class Band:
    """A figure with its interval along an axis.

    Attributes:
        title: What is drawn.
        plot: Where it lies.
        x: What the horizontal axis is.
        caption: A sentence below.
    """

    kind: ClassVar[str] = "band"
    title: str
    plot: geometry.BandPlot
    x: str
    caption: str = ""


@dataclass(frozen=True)
class Example:
    """A row of the data.

    Attributes:
        texts: Its texts, one below the other.
        truth: Its label, or "".
        taken: Its prediction, or "".
        remarks: Short texts below.
        place: Its file and row in the user's data, or "".
        pictures: (data address of a small copy, what it shows) of each picture.
    """

    texts: Sequence[str]
    truth: str = ""
    taken: str = ""
    remarks: Sequence[str] = ()
    place: str = ""
    pictures: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Examples:
    """Rows of the data, most interesting first."""

    kind: ClassVar[str] = "examples"
    title: str
    rows: Sequence[Example]


Block = Text | Table | Forest | Reliability | Scatter | Band | Examples


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Attributes:
        key: Its anchor.
        title: Its heading.
        lead: A sentence or two below the heading; "" for none.
        blocks: Its content.
    """

    key: str
    title: str
    lead: str = ""
    blocks: Sequence[Block] = field(default_factory=list)


def place(file: str, row: float | None) -> str:
    """Return the place of a row, as file:row; "" where it is not known."""
    return f"{file}:{row:.0f}" if file and row is not None else file


def estimated(cell: Mapping[str, Any] | None, unit: str = "fraction", signed: bool = False, alert: str = "") -> Cell:
    """A measured value with its interval below."""
    if cell is None or cell["value"] is None:
        return Cell("–")
    return Cell(
        formats.measure(cell["value"], unit, signed), formats.interval(cell["low"], cell["high"], unit, signed), alert
    )
