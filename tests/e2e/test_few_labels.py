"""A table with few labels, through the real command line."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import Outcome, toolkit
from tests.support.json_documents import problems
from toolkit import runs

NAMES = ["linear probe", "contrastive fine-tuning", "fine-tuning"]


def finetune(cwd: Path, output: str, *more: str) -> Outcome:
    outcome = toolkit(
        "finetune", "sentiment", "--model", checkpoints.TINY, "--data", "reviews.csv", "--output", output,
        "--set", "evaluation.positive_class=positive", *more, cwd=cwd,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    return outcome


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few")
    checkpoints.reviews(folder / "reviews.csv", 60)
    finetune(folder, "run")
    return folder


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_the_comparison_is_in_the_report(home: Path) -> None:
    report = report_of(home / "run")
    assert problems("report.json", report) == []
    comparison = report["training"]["few_labels"]
    assert [row["name"] for row in comparison["candidates"]] == NAMES
    assert comparison["chosen"] in NAMES
    assert comparison["rows"] == report["data"]["splits"][0]["rows"] == 51
    assert [part["name"] for part in report["data"]["splits"]] == ["train", "test"]
    assert any(comparison["chosen"] in s.lower() for s in report["verdict"]["statements"])
    for page in ("report.md", "report.html"):
        text = (home / "run" / page).read_text(encoding="utf-8")
        assert all(name in text for name in NAMES)


def test_validation_metrics_are_out_of_fold(home: Path) -> None:
    report = report_of(home / "run")
    comparison = report["training"]["few_labels"]
    (point,) = report["training"]["evaluations"]
    kept = next(row for row in comparison["candidates"] if row["name"] == comparison["chosen"])
    assert point["loss"] == pytest.approx(-kept["log_likelihood"])
    assert point["accuracy"] == pytest.approx(kept["accuracy"])
    card = json.loads((home / "run" / "model" / runs.CARD).read_text(encoding="utf-8"))
    assert card["calibration"]["fitted_on"] == "cross-validation"
    assert card["calibration"]["rows"] == 51
    assert report["evaluation"]["screening"]["validation_positives"] == 26
    assert not (home / "run" / "data" / "validation.parquet").exists()


def test_later_commands_work_without_validation_rows(home: Path) -> None:
    again = toolkit("evaluate", "run", "--fresh", cwd=home)
    assert again.code == 0, again.text
    figures = report_of(home / "run" / "evaluations" / "held-out")["evaluation"]["metrics"]
    assert figures == report_of(home / "run")["evaluation"]["metrics"]
    predicted = toolkit("predict", "run", "a wonderful film with a clever plot", cwd=home)
    assert predicted.code == 0, predicted.text


def test_pretraining_on_texts_without_labels_is_compared(home: Path) -> None:
    checkpoints.reviews(home / "more.csv", 200, seed=5)
    finetune(home, "adapted", "--unlabelled", "more.csv")
    report = report_of(home / "adapted")
    assert problems("report.json", report) == []
    comparison = report["training"]["few_labels"]
    names = [*NAMES, *(f"{name} after pretraining" for name in NAMES)]
    assert [row["name"] for row in comparison["candidates"]] == names
    before = report_of(home / "run")["training"]["few_labels"]["candidates"]
    for row, other in zip(comparison["candidates"], before, strict=False):
        assert (row["name"], row["log_likelihood"]) == (other["name"], other["log_likelihood"])
    pretraining = comparison["pretraining"]
    assert pretraining["texts"] + pretraining["held_out_texts"] <= 200
    assert pretraining["perplexity"] < pretraining["perplexity_before"]
    assert not (home / "adapted" / "checkpoints").exists()


def test_two_processes_keep_the_same_model(home: Path) -> None:
    finetune(home, "two", "--num-processes", "2")
    weights = [runs.digest(home / run / "model" / "model.safetensors") for run in ("run", "two")]
    assert weights[0] == weights[1]


def test_resume_gives_the_same_model(home: Path) -> None:
    stopped = home / "stopped"
    shutil.copytree(home / "run", stopped, ignore=shutil.ignore_patterns("model", "report.*", "evaluations"))
    facts = json.loads((stopped / "run.json").read_text(encoding="utf-8"))
    (stopped / "run.json").write_text(json.dumps({**facts, "status": "interrupted"}), encoding="utf-8")
    finetune(home, "stopped", "--resume")
    weights = [runs.digest(home / run / "model" / "model.safetensors") for run in ("run", "stopped")]
    assert weights[0] == weights[1]
    logged = [(home / run / "metrics.jsonl").read_text(encoding="utf-8").splitlines() for run in ("run", "stopped")]
    assert len(logged[0]) == len(logged[1])  # lines of the run before are gone
