"""What was promised of single predictions on validation rows, and what came out, as sections of blocks."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.plots import geometry
from toolkit.report.sections.blocks import Band, Block, Cell, Section, Table, Text, estimated


def promises(result: Mapping[str, Any], promised_on: str = "validation rows") -> list[Section]:
    """Errors among answers by the share of rows that are answered, and promises of answers and of sets of classes."""
    points = [
        (row["answered"], row["error"]["value"], row["error"]["low"], row["error"]["high"])
        for row in result["curve"]
        if None not in (row["answered"], *row["error"].values())
    ]
    plot = geometry.band(points)
    if plot is None and not result["answers"]:
        return []
    level = f"{100 * (result['confidence'] or 0.95):g} %"
    lead = "A model that leaves its least confident predictions unanswered makes fewer errors. "
    if result["answers"]:
        lead += f"The thresholds of {formats.count(result['validation_rows'])} {promised_on} are applied here "
        lead += "unchanged. What they promise holds for rows of the same distribution (exchangeable ones): rows from "
        lead += "elsewhere may break it, and this table shows what was seen."
    else:
        lead += "The model keeps no scores of validation rows, so that nothing can be promised."
    blocks: list[Block] = []
    if plot is not None:
        caption = "Share of wrong predictions among the most confident ones. The area holds the "
        caption += f"{level} intervals (Wilson), each of which is for one share of rows."
        blocks.append(Band("Error by share of rows answered", plot, "share of rows answered", caption))
    return [Section("promises", "Errors among answered rows", lead, [*blocks, *_tables(result)])]


def _tables(result: Mapping[str, Any]) -> list[Block]:
    if not result["answers"]:
        return []
    answers = [
        [
            Cell(f"at most {_share(row['promised'])}"),
            _limit(row["threshold"]),
            estimated(row["answered"]),
            estimated(row["error"], alert="more than promised" if row["broken"] else ""),
        ]
        for row in result["answers"]
    ]
    sets = [
        [
            Cell(f"at least {_share(row['promised'])}", _least(row["least"], result["validation_rows"])),
            _limit(row["limit"]),
            estimated(row["covered"], alert="less than promised" if row["broken"] else ""),
            estimated(row["size"], "score"),
        ]
        for row in result["sets"]
    ]
    text = f"The intervals of both tables hold jointly (each at {_share(result['promise_confidence'])}). A promise on "
    text += f"errors fails with a probability of at most {_share(result['doubt'])} over draws of the validation rows; "
    text += "that of sets holds on average over draws of them, and with these at least the share below it. "
    text += "To predict so: --max-error, --sets."
    of_answers = ["Wrong answers promised", "Threshold", "Rows answered", "Wrong answers seen"]
    of_sets = ["Sets with the true class promised", "Limit", "Seen", "Mean number of classes"]
    return [Table("Answers", of_answers, answers), Table("Sets of classes", of_sets, sets), Text(text)]


def _least(value: float | None, rows: float | None) -> str:
    return "" if value is None else f"{_share(round(value, 3))} with these {formats.count(rows)} validation rows"


def _limit(value: float | None) -> Cell:
    return Cell("–", "too few rows promise it") if value is None else Cell(formats.measure(value, "score"))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.4g} %"
