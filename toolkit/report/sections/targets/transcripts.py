"""Transcripts as a section of the report."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Example, Examples, Section, Text, place


def transcripts(result: Mapping[str, Any]) -> list[Section]:
    """The transcripts with the most errors."""
    if not result["worst"]:
        return []
    worst = [
        Example(
            [formats.clip(row["source"]), formats.clip(row["written"]) or "(nothing)"],
            truth=formats.clip(row["reference"]),
            remarks=[f"{result['worst_by']} {formats.measure(row['score'], 'fraction')}"],
            place=place(row["file"], row["row"]),
        )
        for row in result["worst"]
    ]
    lead = f"{formats.count(result['wrong'])} transcripts have errors. The worst by {result['worst_by']}, each with "
    lead += "its recording first:"
    return [Section("transcripts", "Errors of transcripts", "", [Text(lead), Examples("The worst transcripts", worst)])]
