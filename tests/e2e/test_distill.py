"""A student of a run: its layers, its rows, and its report beside the teacher."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from tests.support import checkpoints
from tests.support.cli import toolkit

TRAINED = ("--set", "evaluation.resamples=200", "--set", "training.mean_pooling=false")
FAST = ("--epochs", "1", "--set", "evaluation.resamples=200")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run `first` of two layers."""
    cwd = tmp_path_factory.mktemp("distill")
    checkpoints.reviews(cwd / "reviews.csv", 200, seed=1)
    command = ("finetune", "sentiment", "--model", "pkg://cognition/model", "--data", "reviews.csv", *TRAINED)
    outcome = toolkit(*command, "--epochs", "2", "--set", "training.few_labels=off", "--output", "first", cwd=cwd)
    assert outcome.code == 0, outcome.text
    return cwd


def written(run: Path) -> dict:
    report: dict = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return report


def test_student_is_a_smaller_run_on_the_same_rows(teacher):
    held_out = (teacher / "first" / "data" / "test.parquet").read_bytes()
    with (teacher / "reviews.csv").open(encoding="utf-8", newline="") as stream:
        known = [row["text"] for row in csv.DictReader(stream)][:5]
    with (teacher / "more.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text"])
        writer.writerows([[f"a new and wonderful story {number}"] for number in range(20)])
        writer.writerows([[text] for text in known])  # rows of the run, which it leaves out
    command = ("distill", "first", "--student", "LAYERS=1", "--unlabelled", "more.csv", "--output", "small")
    outcome = toolkit(*command, *FAST, "--json", cwd=teacher)
    assert outcome.code == 0, outcome.text
    document = json.loads(outcome.out)
    report = written(teacher / "small")
    found = report["training"]["distillation"]
    assert document["comparison"] == found
    assert found["teacher"] == "first"
    assert (found["teacher_model"]["layers"], found["student_model"]["layers"]) == (2, 1)
    assert found["student_model"]["parameters"] < found["teacher_model"]["parameters"]
    assert found["student_model"]["bytes"] < found["teacher_model"]["bytes"]
    assert found["unlabelled_rows"] == 20
    assert [time["batch_size"] for time in found["times"]] == [1]  # fewer than 32 rows are held out
    assert all(time["faster"]["low"] <= time["faster"]["value"] <= time["faster"]["high"] for time in found["times"])
    known_figure = next(entry for entry in report["baselines"] if entry["title"] == "The teacher")["metrics"][0]
    assert known_figure["value"] == written(teacher / "first")["evaluation"]["metrics"][0]["value"]
    assert document["teacher"][0]["value"] == known_figure["value"]
    assert report["data"]["fingerprint"] == written(teacher / "first")["data"]["fingerprint"]
    assert (teacher / "small" / "data" / "test.parquet").read_bytes() == held_out
    assert "Teacher and student" in (teacher / "small" / "report.md").read_text(encoding="utf-8")
    config = yaml.safe_load((teacher / "small" / "config.yaml").read_text(encoding="utf-8"))
    assert config["distillation"]["teacher"] == "first"
    outcome = toolkit("predict", "small", "a wonderful film", cwd=teacher)
    assert outcome.code == 0, outcome.text


def test_student_of_another_name_learns_soft_targets_and_relations(teacher):
    command = ("distill", "first", "--student", "pkg://cognition/model", "--output", "other", *FAST)
    outcome = toolkit(*command, "--set", "distillation.relations=1", cwd=teacher)
    assert outcome.code == 0, outcome.text
    found = written(teacher / "other")["training"]["distillation"]
    assert (found["hidden"], found["relations"], found["unlabelled_rows"]) == (0, 1, 0)
    assert found["student_model"]["layers"] == 2


@pytest.mark.parametrize(
    ("words", "identifier"),
    [
        (("--student", "LAYERS=2"), "distill.layers"),
        (("--student", "LAYERS=x"), "config.out-of-range"),
        (("--student", "LAYERS=1", "--unlabelled", "missing.csv"), "source.file-missing"),
    ],
)
def test_unsuitable_students_are_rejected(teacher, words, identifier):
    outcome = toolkit("distill", "first", *words, *FAST, "--output", "none", "--json", cwd=teacher)
    assert outcome.code == 2
    assert identifier in outcome.text
    assert not (teacher / "none").exists()


def test_teacher_is_for_distill_alone(teacher):
    command = ("finetune", "sentiment", "--model", "pkg://cognition/model", "--data", "reviews.csv")
    outcome = toolkit(*command, "--set", "distillation.teacher=first", "--output", "none", "--json", cwd=teacher)
    assert outcome.code == 2
    assert "config.not-for-command" in outcome.text
    assert not (teacher / "none").exists()
