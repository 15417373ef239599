"""The batches that a run was compared with: one line of JSON for each, in the run's folder."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.evaluation.shift.periods import Look
from toolkit.runs.trust import damage

FILE = "batches.jsonl"
PAGE = "drift.html"


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the records of earlier batches; none where there is no file.

    Raises:
        SourceError: The file is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        return []
    with damage(file):
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        looks(records)
        return records


def find(records: Sequence[Mapping[str, Any]], fingerprint: str) -> Mapping[str, Any] | None:
    """Return the record of a batch with these rows; None where there is none."""
    return next((row for row in records if row["fingerprint"] == fingerprint), None)


def looks(records: Sequence[Mapping[str, Any]]) -> list[Look]:
    """Return the looks of records."""
    return [Look(int(row["period"]), int(row["look"]), float(row["level"])) for row in records]


def append(folder: Path, records: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> None:
    """Write all records and a further one; the file appears whole or not at all."""
    lines = (json.dumps(row, allow_nan=False) for row in (*records, record))
    runs.write_text(folder / FILE, "".join(f"{line}\n" for line in lines))
