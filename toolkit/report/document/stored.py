"""A report as a run stores it, read again."""

from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.errors import SourceError
from toolkit.report.document.schema import REPORT, faults

_NEEDED = ("command", "created", "title", "config", "environment", "model", "data", "evaluation", "verdict")


def read_report(file: Path) -> dict[str, Any]:
    """Read the report of an evaluation, and refuse one in which parts that later pages need are missing or invalid.

    Raises:
        SourceError: It is missing, damaged or incomplete.
    """
    report = runs.read_object(file)
    wrong = [f"{key} is missing" for key in _NEEDED if not report.get(key)] or [
        fault for fault in faults(REPORT, report) if not fault.endswith("is not in the schema")
    ]
    if wrong:
        raise SourceError(
            f"{file} is not a complete report: {wrong[0]}.", "Copy the complete run directory again.", id="run.damaged"
        )
    return report
