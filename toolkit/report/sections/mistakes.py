"""The worst predictions as a section of blocks."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Block, Example, Examples, Section, Text, place

SHOWN = 25


def mistakes(errors: list[Mapping[str, Any]]) -> list[Section]:
    """Wrong predictions with the highest confidence, or numbers farthest from the truth, each with its row."""
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
    of_numbers = any(error["residual"] is not None for error in errors)
    title = "Largest errors" if of_numbers else "Most confident mistakes"
    blocks: list[Block] = [Examples(title, rows)]
    if len(errors) > len(rows):
        blocks.append(Text(f"{len(rows)} of {len(errors)} recorded mistakes."))
    which, what = "Wrong predictions with the highest confidence", "label"
    if of_numbers:
        which, what = "Predictions farthest from the true value", "value"
    lead = f"{which}. Either the prediction or the {what} is wrong: check the {what}s."
    return [Section("mistakes", title, lead, blocks)]


def _remarks(error: Mapping[str, Any]) -> list[str]:
    """Return the kind and the confidence, the missed and added ones of several classes, or the error of a number."""
    each = [
        f"{kind} {item['label']} ({formats.measure(item['probability'], 'fraction')})"
        for kind in ("missed", "added")
        for item in error[kind]
    ]
    if error["residual"] is not None:
        side = "high" if error["residual"] > 0 else "low"
        return [f"too {side} by {formats.measure(abs(error['residual']), 'value')}"]
    if each:
        return each
    sure = [] if error["confidence"] is None else [f"confidence {formats.measure(error['confidence'], 'fraction')}"]
    return [*([error["kind"]] if error["kind"] else []), *sure]
