"""report.json matches its schema, and the schema matches its document."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.json_documents import problems
from tests.support.reports import comparison, many_classes, sample
from toolkit.report.document.schema import REPORT, faults, fill

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("report", [sample(), many_classes(), comparison()], ids=["two", "many", "comparison"])
def test_reports_are_of_the_schema(report: dict[str, Any]) -> None:
    assert faults(REPORT, report) == []
    assert problems("report.json", json.loads(json.dumps(report))) == []


def test_faults_are_named_by_their_place() -> None:
    report = sample()
    report["evaluation"]["rows"] = "many"
    report["evaluation"]["errors"][1]["confidance"] = 0.5
    report["data"]["splits"] = {}
    assert faults(REPORT, report) == [
        "report.evaluation.rows is a str, not a float",
        "report.evaluation.errors[].confidance is not in the schema",
        "report.data.splits is not a list",
    ]


def test_what_is_filled_in_is_of_the_schema() -> None:
    assert faults(REPORT, fill(REPORT, {})) == []
    assert faults(REPORT, fill(REPORT, {"evaluation": {"rows": "many", "unknown": 1}, "verdict": 3})) == []


def keys(shape: Any) -> set[str]:
    """Every key of a shape, without its place."""
    if isinstance(shape, list):
        return keys(shape[0])
    if isinstance(shape, dict):
        return set(shape) | {key for part in shape.values() for key in keys(part)}
    return set()


def test_the_document_names_every_key() -> None:
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "report.md").read_text(encoding="utf-8")))
    assert len(keys(REPORT)) > 80
    assert keys(REPORT) - named == set()
