"""A doubt about a training row, and the doubts of several searches as one list."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

LABEL, DUPLICATE, OUTLIER = "label", "near-duplicate", "outlier"  # reasons, the most telling first


@dataclass(frozen=True)
class Doubt:
    """A reason to look at a training row.

    Attributes:
        row: Its position among the training rows.
        reasons: Some of `LABEL`, `DUPLICATE` and `OUTLIER`; of one with several the first has the score.
        score: Of a label the probability that it is wrong, or how far it is from its prediction; of a near-duplicate
            the similarity; of an outlier its distance in units of the usual one.
        suggestion: The label that the first reason suggests; None without one.
        other: Position of the training row that a near-duplicate is similar to.
    """

    row: int
    reasons: tuple[str, ...]
    score: float
    suggestion: Any = None
    other: int | None = None


def merged(lists: Sequence[Sequence[Doubt]]) -> list[Doubt]:
    """Return one doubt for each row, in the order of the lists; later reasons are added to earlier doubts."""
    doubts: dict[int, Doubt] = {}
    for found in (doubt for part in lists for doubt in part):
        first = doubts.get(found.row)
        if first is None:
            doubts[found.row] = found
        else:
            suggestion = found.suggestion if first.suggestion is None else first.suggestion
            other = found.other if first.other is None else first.other
            reasons = (*first.reasons, *found.reasons)
            doubts[found.row] = replace(first, reasons=reasons, suggestion=suggestion, other=other)
    return list(doubts.values())
