"""A recipe with an input and a target that the toolkit does not have, in one file: every command works on it."""

import csv
import json
import random
from pathlib import Path

import pytest

from tests.support.checkpoints import TINY
from tests.support.cli import several
from tests.support.json_documents import problems

RECIPE = Path(__file__).parents[1] / "support" / "recipes" / "digits.py"
ROWS = 160


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outcomes of all commands."""
    folder = tmp_path_factory.mktemp("digits")
    chance = random.Random(0)
    with (folder / "digits.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["digits", "mean"])
        for _ in range(ROWS):
            digits = [chance.randint(0, 9) for _ in range(chance.randint(1, 6))]
            writer.writerow([" ".join(map(str, digits)), f"{sum(digits) / len(digits):.3f}"])
        writer.writerow(["none", "4.0"])
    own = ("--recipe", RECIPE)
    commands: list[list[str | Path]] = [
        ["finetune", RECIPE, "--model", TINY, "--data", "digits.csv", "--output", "run", "--epochs", "1"],
        ["evaluate", "run", *own, "--fresh"],
        ["predict", "run", "--input", "digits.csv", "--output", "out.csv", *own],
        ["export", "run", "--to", "onnx", *own],
    ]
    outcomes = several(commands, folder)
    assert [outcome.code for outcome in outcomes] == [0, 0, 0, 0], outcomes[-1].text
    return folder


def test_it_is_trained_and_reported(home: Path) -> None:
    report = json.loads((home / "run" / "report.json").read_text(encoding="utf-8"))
    assert problems("report.json", report) == []
    assert report["evaluation"]["labels"] == []
    assert [metric["name"] for metric in report["evaluation"]["metrics"]] == ["absolute_error"]
    assert report["evaluation"]["cost"]["timed"] == "forward passes"
    assert report["data"]["counts"]["empty_digits"] == 1
    assert "per_class" not in report["evaluation"]
    assert (home / "run" / "report.html").stat().st_size > 10_000


def test_lower_error_is_better_than_baseline(home: Path) -> None:
    report = json.loads((home / "run" / "report.json").read_text(encoding="utf-8"))
    (baseline,) = report["baselines"]
    difference = baseline["difference"]
    ours, theirs = (item["metrics"][0]["value"] for item in (report["evaluation"], baseline))
    assert difference["value"] == pytest.approx(ours - theirs)
    assert difference["better"] == "lower"
    worse, better = difference["low"] > 0, difference["high"] < 0
    verdict = " ".join(report["verdict"]["statements"])
    assert ("Worse than median" in verdict, "Better than median" in verdict) == (worse, better)


def test_repeated_evaluation_gives_same_metrics(home: Path) -> None:
    (again,) = (home / "run" / "evaluations").glob("*/report.json")
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in (home / "run" / "report.json", again)]
    assert reports[0]["evaluation"]["metrics"] == reports[1]["evaluation"]["metrics"]


def test_rows_without_digits_get_a_problem(home: Path) -> None:
    with (home / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == ROWS + 1
    assert all(-50 < float(row["prediction"]) < 50 for row in rows[:-1])
    assert (rows[-1]["prediction"], rows[-1]["problem"]) == ("", "`digits` has no digit")
    assert "score" not in rows[0]


def test_the_export_predicts_the_same(home: Path) -> None:
    facts = json.loads((home / "run" / "exports" / "onnx" / "export.json").read_text(encoding="utf-8"))
    assert facts["agreement"]["same"] == facts["agreement"]["rows"]
