"""Written answers as a section of the report."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Block, Cell, Example, Examples, Section, Table, Text, estimated, place

TERMS = 20  # of a glossary that the page shows


def writing(result: Mapping[str, Any]) -> list[Section]:
    """What the answers lose, add or repeat, the worst of them, and the glossary."""
    if not result["checks"] and not result["worst"]:
        return []
    blocks: list[Block] = []
    if result["checks"]:
        rows = [
            [
                Cell(check["title"] or check["name"]),
                Cell(formats.count(check["tried"])),
                estimated(check["failed"], alert=_worse(check)),
                Cell(formats.measure(check["references_failed"], "fraction")),
            ]
            for check in result["checks"]
        ]
        blocks.append(
            Table("What goes wrong", ["What goes wrong", "Looked at", "Of the translations", "Of the references"], rows)
        )
    blocks += _terms(result["glossary"])
    failures = [_example(item, [item["remark"]]) for check in result["checks"] for item in check["failures"][:2]]
    if failures:
        blocks += [Text("Examples of these, each with its source first:"), Examples("Examples of these", failures)]
    worst = [
        _example(item, [f"{result['worst_by']} {formats.measure(item['score'], 'points')}"]) for item in result["worst"]
    ]
    if worst:
        lead = f"The worst translations by {result['worst_by']}, each with its source first:"
        blocks += [Text(lead), Examples("The worst translations", worst)]
    lead = "Each row is a question asked of every translation by rule, and of its reference in the same way: what the "
    lead += "references do too may be right."
    return [Section("writing", "What was written", lead, blocks)]


def _worse(check: Mapping[str, Any]) -> str:
    return "clearly more" if check["clear"] else ""


def _example(row: Mapping[str, Any], remarks: list[str]) -> Example:
    return Example(
        [formats.clip(row["source"]), formats.clip(row["written"])],
        truth=formats.clip(row["reference"]),
        remarks=[remark for remark in remarks if remark],
        place=place(row["file"], row["row"]),
    )


def _terms(result: Mapping[str, Any]) -> list[Block]:
    if not result["terms"]:
        return []
    rows = [
        [
            Cell(row["term"]),
            Cell(row["translation"]),
            Cell(formats.count(row["tried"])),
            Cell(formats.measure(row["kept"], "fraction")),
        ]
        for row in result["terms"][:TERMS]
    ]
    absent = sum(not row["tried"] for row in result["terms"])
    title = f"Glossary {result['source']}: kept {formats.estimate(result['kept'], 'fraction')}"
    title += f", by the references {formats.measure(result['references_kept'], 'fraction')}"
    title += f"; {absent} of {len(result['terms'])} terms in no source" if absent else ""
    return [
        Text(title + "."),
        Table("Glossary", ["Term", "Wanted", "Sources with it", "Kept"], rows, words=frozenset({1})),
    ]
