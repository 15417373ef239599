"""Training labels that were exchanged are found, corrected by decisions, and the gain is measured."""

import csv
import json
import random
import shutil
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import toolkit

SETTINGS = ("--epochs", "3", "--learning-rate", "1e-3", "--set", "evaluation.resamples=200")
OTHER = {"positive": "negative", "negative": "positive"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[tuple[str, str], str]]:
    """A run whose training labels were exchanged in three of ten rows, and their true labels."""
    cwd = tmp_path_factory.mktemp("repair")
    (cwd / "data").mkdir()
    checkpoints.reviews(cwd / "data" / "test.csv", 200, seed=2)
    table = checkpoints.reviews(cwd / "data" / "train.csv", 300, seed=1)
    with table.open(encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    draw = random.Random(0)
    truth = {("train.csv", str(number)): row[1] for number, row in enumerate(rows, start=2)}
    given = [[text, OTHER[label] if draw.random() < 0.3 else label] for text, label in rows]
    with table.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *given])
    command = ("finetune", "sentiment", "--model", "pkg://cognition/model", "--data", "data", *SETTINGS)
    outcome = toolkit(*command, "--set", "training.linear_probe=false", "--output", "first", cwd=cwd, timeout=900)
    assert outcome.code == 0, outcome.text
    return cwd, truth


def lines(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def write(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_exchanged_labels_are_found_corrected_and_the_gain_measured(
    run: tuple[Path, dict[tuple[str, str], str]],
) -> None:
    cwd, truth = run
    outcome = toolkit("repair", "first", cwd=cwd, timeout=900)
    assert outcome.code == 0, outcome.text
    folder = cwd / "first" / "repair"
    found = json.loads((folder / "doubts.json").read_text(encoding="utf-8"))
    assert f"{found['noise']['expected']['value']:,.0f} of {found['rows']} training labels" in outcome.out
    assert {file.name for file in folder.iterdir()} == {"doubts.csv", "doubts.json", "repair.html"}
    rows = lines(folder / "doubts.csv")
    assert len(rows) == found["doubts"]
    doubted = [row for row in rows if row["reason"].startswith("label")]
    wrong = [row for row in doubted if truth[row["file"], row["row"]] != row["label"]]
    assert len(wrong) / len(doubted) > 0.7
    assert len(wrong) > 0.5 * 0.3 * found["rows"]
    assert found["noise"]["expected"]["low"] > 0
    for row in rows:
        true = truth[row["file"], row["row"]]
        row.update({"decision": "keep"} if true == row["label"] else {"decision": "relabel", "new_label": true})
    write(cwd / "decided.csv", rows)
    command = ("repair", "first", "--decisions", "decided.csv", "--output", "second")
    repaired = toolkit(*command, cwd=cwd, timeout=900)
    assert repaired.code == 0, repaired.text
    facts = json.loads((cwd / "second" / "run.json").read_text(encoding="utf-8"))
    gain = facts["repair"]
    assert gain["value"] > 0
    assert gain["low"] < gain["value"] < gain["high"]
    assert (gain["of"], gain["rows"], gain["dropped"]) == ("first", 200, 0)
    assert gain["relabelled"] == sum(row["decision"] == "relabel" for row in rows)
    assert "test labels" in repaired.out
    assert facts["data"]["counts"]["corrected_relabelled"] == gain["relabelled"]
    assert (cwd / "second" / "comparison" / "report.html").is_file()
    kept = lines(cwd / "second" / "data" / "corrections.csv")
    assert len(kept) == gain["relabelled"]
    assert "data/corrections.csv" in (cwd / "second" / "SHA256SUMS").read_text(encoding="utf-8")
    for part in ("validation", "test"):
        parts = [(cwd / name / "data" / f"{part}.parquet").read_bytes() for name in ("first", "second")]
        assert parts[0] == parts[1]
    again = toolkit("repair", "second", cwd=cwd, timeout=900)
    assert again.code == 0, again.text
    left = json.loads((cwd / "second" / "repair" / "doubts.json").read_text(encoding="utf-8"))
    assert left["noise"]["rate"] < found["noise"]["rate"]
    dropped = next(row for row in rows if row["decision"] == "keep")
    write(cwd / "more.csv", [{**dropped, "decision": "drop"}])
    third = toolkit("repair", "second", "--decisions", "more.csv", "--output", "third", cwd=cwd, timeout=900)
    assert third.code == 0, third.text
    whole = lines(cwd / "third" / "data" / "corrections.csv")  # those of the second run, and the new one
    assert len(whole) == len(kept) + 1
    assert {**dropped, "decision": "drop"}.items() >= next(row for row in whole if row["decision"] == "drop").items()


def test_wrong_decisions_are_refused(run: tuple[Path, dict[tuple[str, str], str]]) -> None:
    cwd, _ = run
    for name, line, identifier in (
        ("row", "test.csv,2,drop,", "repair.unknown-row"),
        ("label", "train.csv,2,relabel,neutral", "repair.unknown-label"),
        ("none", "train.csv,2,keep,", "repair.no-decisions"),
    ):
        (cwd / f"{name}.csv").write_text(f"file,row,decision,new_label\n{line}\n", encoding="utf-8")
        refused = toolkit("repair", "first", "--decisions", f"{name}.csv", cwd=cwd)
        assert (refused.code, f"[{identifier}]" in refused.err) == (2, True), refused.text
    alone = toolkit("repair", "first", "--output", "second", cwd=cwd)
    assert (alone.code, "[config.conflict]" in alone.err) == (2, True)
    no_run = toolkit("repair", "data", cwd=cwd)
    assert (no_run.code, "[run.not-a-run]" in no_run.err) == (2, True)


def test_changed_data_and_existing_decisions_are_refused(run: tuple[Path, dict[tuple[str, str], str]]) -> None:
    cwd, _ = run
    copy = cwd / "copy"
    shutil.copytree(cwd / "first", copy, ignore=shutil.ignore_patterns("repair"))
    (copy / "repair").mkdir()
    (copy / "repair" / "doubts.csv").write_text("file,row,decision\ntrain.csv,2,drop\n", encoding="utf-8")
    kept = toolkit("repair", "copy", cwd=cwd)
    assert (kept.code, "[repair.decisions-exist]" in kept.err) == (2, True), kept.text
    shutil.rmtree(copy / "repair")
    table = cwd / "data" / "train.csv"
    before = table.read_text(encoding="utf-8")
    table.write_text(before.replace("seen", "watched", 1), encoding="utf-8")
    changed = toolkit("repair", "copy", cwd=cwd)
    table.write_text(before, encoding="utf-8")
    assert (changed.code, "[run.data-changed]" in changed.err) == (2, True), changed.text
    assert not (copy / "repair").exists()
