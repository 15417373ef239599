"""Files of a run that were changed, and outputs of two processes at once."""

import functools
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.checkpoints import TINY
from tests.support.cli import several, toolkit
from toolkit.runs.lock import sole_writer

WORDS = {"sunny": ("bright", "warm", "clear"), "rainy": ("wet", "grey", "cold"), "windy": ("gusty", "rough", "loud")}


@functools.cache
def _run() -> Path:
    """Train once for all cases: one class in ten labels is another, and one is so rare that it is never predicted."""
    home = Path(tempfile.mkdtemp(prefix="toolkit-case-"))
    chance = random.Random(0)
    lines = ["text,label"]
    for number in range(480):
        kind = "windy" if number % 40 == 0 else chance.choice(["sunny", "rainy"])
        label = chance.choice(["sunny", "rainy"]) if kind != "windy" and chance.random() < 0.2 else kind
        lines.append(f"day {number} of the trip was {' and '.join(chance.choices(WORDS[kind], k=3))},{label}")
    (home / "days.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ["--epochs", "2", "--learning-rate", "5e-4", "--set", "data.validation_fraction=0.25"]
    options += ["--batch-size", "32", "--set", "training.linear_probe=false"]  # few steps from a random head
    screening = ["evaluation.positive_class=rainy", "evaluation.operating_points=[sensitivity=0.99]"]
    settings = [part for value in screening for part in ("--set", value)]
    command = ["finetune", "sentiment", "--model", TINY, "--data", "days.csv", "--output", "run", *options, *settings]
    outcome = toolkit(*command, cwd=home)
    assert outcome.code == 0, outcome.text
    return home / "run"


def _copied(folder: Path) -> Path:
    return shutil.copytree(_run(), folder / "run")


def _report(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return result


def case_figures_that_cannot_be_known(folder: Path) -> None:
    """Precision of a class never predicted is "–"; temperature and thresholds state their rows."""
    run = _copied(folder)
    evaluation = _report(run)["evaluation"]
    (never,) = (row for row in evaluation["per_class"] if row["label"] == "windy")
    assert never["precision"] == {"value": None, "low": None, "high": None}, never
    assert "| windy | " in (page := (run / "report.md").read_text(encoding="utf-8"))
    assert "(0.0 to 100.0)" not in page + (run / "report.html").read_text(encoding="utf-8")
    validation = pq.read_table(run / "data" / "validation.parquet").num_rows
    fit = evaluation["calibration"]["fit"]
    assert fit["rows"] == validation
    assert fit["kept"] == (evaluation["calibration"]["temperature"] is not None)
    card = json.loads((run / "model" / "toolkit.json").read_text(encoding="utf-8"))["calibration"]
    assert ("temperature" in card) == fit["kept"]
    screening = evaluation["screening"]
    assert screening["validation_positives"] + screening["validation_negatives"] == validation
    for point in screening["points"]:
        assert point["on_validation"]["sensitivity"]["value"] is not None
    (wanted,) = (point for point in screening["points"] if "target" in point)
    assert wanted["missed"] == (wanted["sensitivity"]["value"] < 0.99)
    assert wanted["missed"] == any("is not reached on" in warning for warning in _report(run)["verdict"]["warnings"])


def case_edited_predictions(folder: Path) -> None:
    """Edited predictions are neither evaluated nor compared."""
    run = _copied(folder)
    table = pq.read_table(run / "predictions.parquet")
    others = pa.array([1 - min(number, 1) for number in table["prediction"].to_pylist()])
    edited = table.set_column(table.column_names.index("prediction"), "prediction", others)
    pq.write_table(edited, run / "predictions.parquet")  # with the metadata as they were
    judged, compared = several([["evaluate", "run"], ["compare", "run", "run/evaluations/held-out"]], folder)
    assert judged.code == 0, judged.text
    assert "predictions.parquet was changed" in judged.err
    own, again = (_report(place)["evaluation"] for place in (run, run / "evaluations" / "held-out"))
    assert again["metrics"] == own["metrics"]
    assert compared.code == 2
    assert "predictions.parquet was changed" in compared.err


def case_edited_held_out_rows(folder: Path) -> None:
    """Edited held-out rows are not evaluated as the run's own."""
    run = _copied(folder)
    file = run / "data" / "test.parquet"
    pq.write_table(pq.read_table(file).slice(0, 20), file)
    outcome = toolkit("evaluate", "run", cwd=folder)
    assert outcome.code == 2
    assert "test.parquet was changed" in outcome.err


def case_two_predictions_to_one_output(folder: Path) -> None:
    """A second writer of an output is refused; rows of another input are discarded with a note."""
    run = _copied(folder)
    (folder / "in.txt").write_text("a warm day\na wet day\n", encoding="utf-8")
    command = ["predict", run, "--input", "in.txt", "--output", "out.jsonl"]
    with sole_writer(folder / "out.jsonl"):
        refused = toolkit(*command, cwd=folder)
    assert refused.code == 2
    assert "Another process is writing" in refused.err
    kept = folder / ".out.jsonl.parts"
    kept.mkdir()
    (kept / "identity.json").write_text('{"input": "of another file"}', encoding="utf-8")
    (kept / "000000.jsonl").write_text('{"text": "not this", "prediction": "sunny"}\n', encoding="utf-8")
    done = toolkit(*command, cwd=folder)
    assert done.code == 0, done.text
    assert "predicted before but discarded" in done.err
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == ["a warm day", "a wet day"]
    assert sorted(path.name for path in folder.iterdir()) == ["in.txt", "out.jsonl", "run"]
