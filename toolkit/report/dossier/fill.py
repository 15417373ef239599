"""Fill the points of Annex IV from a run and from the texts that were given."""

from toolkit.config.card_extra import CardExtra, about
from toolkit.report.document.portable import portable
from toolkit.report.document.schema import fill as printable
from toolkit.report.dossier.content import (
    BLANK,
    GIVEN,
    MEANINGLESS,
    MEASURED,
    UNMEASURED,
    Automatic,
    Blank,
    Dossier,
    Entry,
    Evidence,
    Gap,
    Table,
    Text,
)
from toolkit.report.dossier.points import POINTS


def fill(evidence: Evidence, extra: CardExtra) -> Dossier:
    """Return the documentation of a run.

    Args:
        evidence: What the run knows.
        extra: Texts for the blanks.
    """
    points = [
        (
            point.number,
            point.title,
            [
                _given(entry, extra) if isinstance(entry, Blank) else _automatic(entry, evidence)
                for entry in point.entries
            ],
        )
        for point in POINTS
    ]
    report = evidence.report
    return Dossier(str(portable(report["title"].value)), str(report["created"].value), points)


def _given(blank: Blank, extra: CardExtra) -> Entry:
    text = str(printable(str, getattr(extra, blank.key))).strip()
    paragraphs = [Text(" ".join(part.split())) for part in text.split("\n\n") if part.strip()]
    if paragraphs:
        return Entry(blank.number, blank.title, GIVEN, paragraphs, blank.key)
    return Entry(blank.number, blank.title, BLANK, [Text(f"{about(blank.key)}.")], blank.key)


def _automatic(entry: Automatic, evidence: Evidence) -> Entry:
    content = entry.fill(evidence)
    if not isinstance(content, Gap) and any(isinstance(block, Table) and block.rows for block in content):
        return Entry(entry.number, entry.title, MEASURED, content)
    if not isinstance(content, Gap):
        content = Gap("The files of the run have nothing on this.")
    state = UNMEASURED if content.command else MEANINGLESS
    return Entry(entry.number, entry.title, state, [Text(content.reason)], command=str(portable(content.command)))
