"""Generated texts as a section of the report."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Block, Cell, Example, Examples, Section, Table, Text, estimated, place

TERMS = 20  # of a glossary that the page shows


def writing(result: Mapping[str, Any]) -> list[Section]:
    """Faults of the generated texts, the worst of these, and the glossary."""
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
        blocks.append(Table("Faults", ["Fault", "Checked", "Of the translations", "Of the references"], rows))
    blocks += _terms(result["glossary"])
    failures = [_example(item, [item["remark"]]) for check in result["checks"] for item in check["failures"][:2]]
    if failures:
        blocks += [
            Text("Examples of these faults, each with its source first:"),
            Examples("Examples of faults", failures),
        ]
    worst = [
        _example(item, [f"{result['worst_by']} {formats.measure(item['score'], 'points')}"]) for item in result["worst"]
    ]
    if worst:
        lead = f"The worst translations by {result['worst_by']}, each with its source first:"
        blocks += [Text(lead), Examples("The worst translations", worst)]
    lead = "Each row is a rule that is applied to every translation and to its reference: what is also frequent in the "
    lead += "references may be correct."
    return [Section("writing", "Quality of the translations", lead, blocks)]


def _worse(check: Mapping[str, Any]) -> str:
    return "significantly more" if check["clear"] else ""


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
    title = f"Glossary {result['source']}: kept in {formats.estimate(result['kept'], 'fraction')}"
    title += f", in the references {formats.measure(result['references_kept'], 'fraction')}"
    title += f"; {absent} of {len(result['terms'])} terms occur in no source" if absent else ""
    return [
        Text(title + "."),
        Table("Glossary", ["Term", "Translation", "Sources with it", "Kept"], rows, words=frozenset({1})),
    ]
