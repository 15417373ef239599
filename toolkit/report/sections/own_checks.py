"""Sections of checks that a recipe or the user brings."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report.sections.blocks import Cell, Section, Table


def own(sections: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Return the sections of a recipe's or user's own checks."""
    return [
        Section(
            f"own-{number}",
            section["title"],
            section["text"],
            [Table(section["title"], section["columns"], [[Cell(text) for text in row] for row in section["rows"]])]
            if section["rows"]
            else [],
        )
        for number, section in enumerate(sections, 1)
    ]
