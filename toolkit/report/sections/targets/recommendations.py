"""What is recommended: coverage of the catalogue, popularity, and rows that no model can predict."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Cell, Section, Table, estimated


def recommendations(result: Mapping[str, Any], rows: float | None) -> list[Section]:
    """Figures of the recommended items in addition to the metrics.

    Args:
        result: `evaluation.recommendations` of the report.
        rows: Number of rows of the evaluation.
    """
    if result["items"] is None:
        return []
    total = formats.count(rows)
    table = Table(
        "Recommended items",
        ["Measure", "Value"],
        [
            [Cell("Catalogue coverage: items among the first ten of any row"), Cell(_share(result["coverage"]))],
            [
                Cell("Popularity of the first ten, relative to the histories"),
                estimated(result["popularity_ratio"], "score"),
            ],
            [Cell("Rows whose item is not in train, which count as misses"), Cell(_of(result["unseen"], total))],
            [Cell("Rows whose item is in their history"), Cell(_of(result["repeats"], total))],
            [Cell("Items in a history, on average"), Cell(formats.count(round(result["items_in_history"] or 0, 1)))],
        ],
    )
    lead = f"All {formats.count(result['items'])} items of train are ranked for each row; none are sampled. "
    if result["exclude_seen"]:
        lead += "Items of the history are left out of the ranking (options.exclude_seen). "
    else:
        lead += "Items of the history stay in the ranking (options.exclude_seen=false). "
    if result["users"] is not None:
        lead += f"Intervals are over {formats.count(result['users'])} users: the rows of one depend on each other."
    return [Section("recommendations", "Recommendations", lead.strip(), [table])]


def _share(value: float | None) -> str:
    return "–" if value is None else formats.measure(value, "fraction")


def _of(count: float | None, total: str) -> str:
    return "–" if count is None else f"{formats.count(count)} of {total}"
