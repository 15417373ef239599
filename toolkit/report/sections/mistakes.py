"""The worst predictions as a section of blocks."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Block, Example, Examples, Section, Text, place

SHOWN = 25


def mistakes(errors: list[Mapping[str, Any]]) -> list[Section]:
    """Wrong predictions with the highest confidence, each with its row."""
    rows = [
        Example(
            [formats.clip(error["text"])],
            truth=error["label"],
            taken=error["prediction"],
            remarks=_remarks(error),
            place=place(error["file"], error["row"]),
            pictures=[(error["picture"], error["text"])],
        )
        for error in errors[:SHOWN]
    ]
    if not rows:
        return []
    title = "Most confident mistakes"
    blocks: list[Block] = [Examples(title, rows)]
    if len(errors) > len(rows):
        blocks.append(Text(f"{len(rows)} of {len(errors)} recorded mistakes."))
    lead = (
        "Wrong predictions with the highest confidence. Either the prediction or the label is wrong: check the labels."
    )
    return [Section("mistakes", title, lead, blocks)]


def _remarks(error: Mapping[str, Any]) -> list[str]:
    """Return the confidence; where a row has several classes, the probability of those that are missed and added."""
    each = [
        f"{kind} {item['label']} ({formats.measure(item['probability'], 'fraction')})"
        for kind in ("missed", "added")
        for item in error[kind]
    ]
    if each or error["confidence"] is None:
        return each
    return [f"confidence {formats.measure(error['confidence'], 'fraction')}"]
