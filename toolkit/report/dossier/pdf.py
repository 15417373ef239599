"""The technical documentation as PDF, by ReportLab, with embedded fonts and the same bytes for the same content."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from toolkit.errors import ConfigError
from toolkit.report import formats
from toolkit.report.dossier.content import (
    BLANK,
    NOT_ADVICE,
    SOURCES,
    UNMEASURED,
    Block,
    Dossier,
    Entry,
    Text,
    blank_note,
    source_of,
)
from toolkit.report.dossier.fonts import Fonts
from toolkit.report.dossier.traces import Figure

_MARGIN = 54  # points: three quarters of an inch
_BODY, _SMALL = 9, 7.5  # sizes of letters in points
_GREY, _LINE = "#f2f2f2", "#bbbbbb"
_BOX = {"borderPadding": 4, "leftIndent": 5, "rightIndent": 5, "spaceBefore": 8, "spaceAfter": 9}


def check_installed() -> None:
    """Refuse a PDF where ReportLab is not installed.

    Raises:
        ConfigError: It is missing.
    """
    import importlib.util

    missing = [name for name in ("reportlab", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"A PDF needs {' and '.join(missing)}.",
            "pip install 'finetune-toolkit[dossier]'",
            id="machine.package-missing",
        )


def write_pdf(dossier: Dossier, file: Path, fonts: Fonts) -> None:
    """Write dossier.pdf.

    Args:
        dossier: The documentation.
        file: Where to write.
        fonts: Draw it; they count the characters that none of them has.
    """
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import SimpleDocTemplate

    page = SimpleDocTemplate(
        str(file),
        pagesize=A4,
        invariant=1,  # no time of day
        title=f"Technical documentation: {dossier.title}",
        lang="en",
        **dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), _MARGIN),
    )
    flow = _Flow(fonts, page.width - 12)  # the frame of a page keeps 6 points on each side
    parts = list(flow.parts(dossier))
    if fonts.undrawn:
        parts[2:2] = [flow.paragraph(fonts.note, "body")]
    page.build(parts, onFirstPage=flow.footer, onLaterPages=flow.footer)


class _Flow:
    """Turns content into what ReportLab lays out.

    Args:
        fonts: Draw the text.
        width: Of a line, in points.
    """

    def __init__(self, fonts: Fonts, width: float) -> None:
        from reportlab.lib.styles import ParagraphStyle

        self._fonts = fonts
        self._width = width
        body = ParagraphStyle("body", fontName=fonts.regular, fontSize=_BODY, leading=_BODY * 1.35, spaceAfter=5)
        small = ParagraphStyle("small", body, fontSize=_SMALL, leading=_SMALL * 1.3, spaceAfter=0)
        self._styles = {
            "body": body,
            "small": small,
            "head": ParagraphStyle("head", small, fontName=fonts.bold),
            "command": ParagraphStyle("command", small, backColor=_GREY, **_BOX),
            "blank": ParagraphStyle("blank", body, borderColor=_LINE, borderWidth=0.7, **_BOX),
            **{
                name: ParagraphStyle(
                    *(name, body),
                    fontName=fonts.bold,
                    fontSize=size,
                    leading=size * 1.25,
                    spaceBefore=before,
                    keepWithNext=1,
                )
                for name, size, before in (("title", 17, 0), ("point", 13, 14), ("entry", 10, 8))
            },
        }

    def paragraph(self, text: str, style: str, bold_start: str = "") -> Any:
        """Return a paragraph of plain text, which may begin with some in bold."""
        from reportlab.platypus import Paragraph

        start = f'<font name="{self._fonts.bold}">{self._drawn(bold_start, bold=True)}</font> ' if bold_start else ""
        rest = self._drawn(text, bold=self._styles[style].fontName == self._fonts.bold)
        return Paragraph(start + rest, self._styles[style])

    def _drawn(self, text: str, *, bold: bool) -> str:
        """Return text as ReportLab's markup, in which a run of characters of another font names that font."""
        return "".join(
            escape(run) if font is None else f'<font name="{font}">{escape(run)}</font>'
            for font, run in self._fonts.runs(" ".join(text.split()), bold=bold)
        )

    def parts(self, dossier: Dossier) -> Iterator[Any]:
        """Yield the whole document from its title on."""
        yield self.paragraph(f"Technical documentation: {dossier.title}", "title")
        yield self.paragraph(f"{formats.date(dossier.created)}. {NOT_ADVICE}", "body")
        yield self.paragraph(SOURCES, "body", dossier.summary)
        overview = [[entry.number, entry.title, entry.state] for entry in dossier.entries]
        yield self._table(["Point", "Entry", "State"], overview, [0.1, 0.6, 0.3])
        for number, title, entries in dossier.points:
            yield self.paragraph(f"{number}. {title}", "point")
            for entry in entries:
                yield from self._entry(entry)

    def _entry(self, entry: Entry) -> Iterator[Any]:
        yield self.paragraph(f"{entry.number} {entry.title}", "entry")
        if entry.state in (BLANK, UNMEASURED):
            text = " ".join(block.text for block in entry.content if isinstance(block, Text))
            if entry.state == BLANK:
                yield self.paragraph(text, "blank", blank_note(entry.key).replace("`", ""))
            else:
                yield self.paragraph(f"{text} To measure it:", "body")
                yield self.paragraph(entry.command, "command")
            return
        for block in entry.content:
            yield from self._block(block)

    def _block(self, block: Block) -> Iterator[Any]:
        from reportlab.platypus import Spacer

        if isinstance(block, Text):
            yield self.paragraph(block.text.replace("`", ""), "body")
            return
        rows = [
            [*(cell.text if isinstance(cell, Figure) else cell for cell in row), source_of(row)] for row in block.rows
        ]
        share = 0.68 / len(block.columns)
        yield self._table([*block.columns, "Source"], rows, [*([share] * len(block.columns)), 0.32])
        yield Spacer(1, 6)

    def _table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], shares: Sequence[float]) -> Any:
        """Return a table that continues on the next page under the same head."""
        from reportlab.platypus import LongTable, TableStyle

        cells = [[self.paragraph(name, "head") for name in columns]]
        cells += [[self.paragraph(cell, "small") for cell in row] for row in rows]
        style = TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("BACKGROUND", (0, 0), (-1, 0), _GREY),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                *((side, (0, 0), (-1, -1), 3) for side in ("LEFTPADDING", "RIGHTPADDING", "TOPPADDING")),
            ]
        )
        widths = [share * self._width for share in shares]
        return LongTable(cells, colWidths=widths, repeatRows=1, splitInRow=1, style=style, hAlign="LEFT")

    def footer(self, canvas: Any, page: Any) -> None:
        """Draw the number of a page."""
        canvas.setFont(self._fonts.regular, _SMALL)
        canvas.drawRightString(page.leftMargin + page.width, _MARGIN / 2, str(canvas.getPageNumber()))
