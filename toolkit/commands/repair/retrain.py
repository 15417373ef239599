"""Apply decisions on training rows: train again on the corrected rows, and measure the gain on the same test rows."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit import runs
from toolkit.commands.compare import compare
from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.run import finetune
from toolkit.commands.finetune.trained_run import TrainedRun
from toolkit.commands.repair.find import FOLDER
from toolkit.data import corrections
from toolkit.data.corrections import Correction, Place
from toolkit.errors import DataError
from toolkit.events import Note, Observe

STORE = runs.HOME / "corrections"  # corrections of data, named by their content
COMPARISON = "comparison"  # folder in the new run


@dataclass(frozen=True)
class Repaired:
    """A run that was trained on corrected rows.

    Attributes:
        run: The new run.
        comparison: Folder of its comparison with the old one.
        report: Of the comparison.
        gain: "name", "title", "unit" of the first metric; its "before" and "after"; "value", "low" and "high" of the
            gain, which is positive where the new run is better, and its "p"; "rows", "dropped" and "relabelled".
    """

    run: runs.Run
    comparison: Path
    report: Mapping[str, Any]
    gain: Mapping[str, Any]


def repaired(
    source: TrainedRun,
    decisions: Path,
    output: str | None,
    command: str,
    observe: Observe,
    *,
    resume: bool = False,
    started: float | None = None,
) -> Repaired:
    """Train a run again on corrected rows, and compare it with the run.

    Args:
        source: The run.
        decisions: CSV file of decisions.
        output: The new run directory; under runs/ when None.
        command: The command line, for the report.
        observe: Called with each event.
        resume: Resume the new run where it did not finish.
        started: Start of the command by `time.monotonic`, for a time budget.

    Raises:
        ToolkitError: As of `corrections.read`, `TrainedRun.prepared` and `finetune`; or the decisions name rows that
            are not among the training rows, or change nothing.
    """
    before = source.prepared(observe)
    target, labels = before.recipe.task.target, before.splits.labels
    decided = corrections.read(decisions, target, labels)
    _check(decided, before, decisions)
    earlier = {} if source.corrections is None else corrections.read(source.corrections, target, labels)
    file = _stored({**earlier, **decided}, before)
    prepared = source.with_values({"data": {"corrections": str(file)}, "output": output}, observe, resume=resume)
    for text in prepared.notes:
        observe(Note(text))
    run = finetune(prepared, command, observe, resume=resume, started=started)
    folder, report = compare(
        *([str(run.path), str(source.run.path)], source.recipe_name, str(runs.free(run.path / COMPARISON)), command),
        *(prepared.config.evaluation, prepared.config.training.seed, observe),
    )
    gain = _gain(report["comparison"], decided)
    run.record(repair={"of": source.run.path.name, "corrections": runs.digest(run.path / runs.CORRECTIONS), **gain})
    return Repaired(run, folder, report, gain)


def _check(decided: Mapping[Place, Correction], before: Prepared, file: Path) -> None:
    """Refuse decisions on rows that were not trained on, and decisions that change nothing."""
    known = corrections.positions(before.splits.train)
    unknown = next((place for place in decided if place not in known), None)
    if unknown is not None:
        raise DataError(
            f"{file}, line {decided[unknown].line}: {unknown[0]}, row {unknown[1]} is not a training row of the run.",
            "Leave the columns file and row as they were written. Validation and test rows are not corrected.",
            id="repair.unknown-row",
        )
    values = before.splits.train[before.recipe.task.target.role]
    if all(made.value is not None and made.value == values[known[place]].as_py() for place, made in decided.items()):
        raise DataError(
            f"{file} has no decision that changes a row.",
            f"Write {corrections.DROP} or {corrections.RELABEL} into the column decision, or use {FOLDER}/repair.html.",
            id="repair.no-decisions",
        )


def _stored(merged: Mapping[Place, Correction], before: Prepared) -> Path:
    """Write all corrections of the new run into a file that is named by its content."""
    target, labels = before.recipe.task.target, before.splits.labels
    text = corrections.text_of(merged, target, labels)
    file = STORE / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.csv"
    if not file.is_file():
        runs.check_writable(STORE)
        runs.write_text(file, text)
    return file


def _gain(comparison: Mapping[str, Any], decided: Mapping[Place, Correction]) -> dict[str, Any]:
    """Return the gain in the first metric, of which positive is better."""
    (pair,), (after, before) = comparison["pairs"], (model["metrics"][0] for model in comparison["models"])
    difference = pair["differences"][0]
    sign = -1.0 if difference.get("better") == "lower" else 1.0
    low, high = sorted(sign * difference[end] for end in ("low", "high"))
    dropped = sum(made.value is None for made in decided.values())
    return {
        **{key: difference[key] for key in ("name", "title", "unit")},
        "before": before["value"],
        "after": after["value"],
        "value": sign * difference["value"],
        "low": low,
        "high": high,
        "p": difference["p"],
        "confidence": pair["confidence"],
        "rows": comparison["rows"],
        "dropped": dropped,
        "relabelled": len(decided) - dropped,
    }
