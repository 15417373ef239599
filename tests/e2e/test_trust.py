"""Faults that were planted in data are found by name in the report of the real command."""

import csv
import json
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.cli import toolkit
from toolkit.report.schema import REPORT, faults

MISLABELLED, LEAKED = 11, 30  # lines of test.csv


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


@pytest.fixture(scope="module")
def planted(tiny_distilbert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose test rows hold one wrong label and one leaked row."""
    cwd = tmp_path_factory.mktemp("planted")
    data = cwd / "data"
    data.mkdir()
    train = rows_of(checkpoints.reviews(data / "train.csv", 240, seed=1))
    path = checkpoints.reviews(data / "test.csv", 80, seed=2)
    test = [[*row, ("x", "y")[number % 2]] for number, row in enumerate(rows_of(path))]
    test[0][2] = "side"
    wrong = test[MISLABELLED - 1]
    wrong[1] = "negative" if wrong[1] == "positive" else "positive"
    test[LEAKED - 1][:2] = [train[7][0].replace(" times", " more times"), train[7][1]]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(test)
    command = ("--model", tiny_distilbert, "--data", "data", "--epochs", "4", "--learning-rate", "1e-3")
    outcome = toolkit("finetune", "sentiment", *command, "--output", "run", cwd=cwd)
    assert outcome.code == 0, outcome.text
    return cwd


def report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_a_planted_label_error_and_a_planted_leak_are_found(planted: Path) -> None:
    found = report(planted / "run")
    assert faults(REPORT, found) == []
    doubted = [(example["file"], example["row"]) for example in found["evaluation"]["label_errors"]["examples"]]
    assert ("test.csv", MISLABELLED) in doubted[:3]
    likest = found["evaluation"]["near_duplicates"]["pairs"][0]
    assert (likest["test"]["file"], likest["test"]["row"]) == ("test.csv", LEAKED)
    assert (likest["train"]["file"], likest["train"]["row"]) == ("train.csv", 8)
    page = (planted / "run" / "report.html").read_text(encoding="utf-8")
    assert f"test.csv:{MISLABELLED}" in page
    assert f"test.csv:{LEAKED}" in page
    card = json.loads((planted / "run" / "model" / "toolkit.json").read_text(encoding="utf-8"))
    assert card["calibration"]["temperature"] > 0
    assert card["calibration"]["temperature"] == found["evaluation"]["calibration"]["temperature"]


def test_judging_twice_gives_the_same_bytes_apart_from_the_time(planted: Path) -> None:
    texts = []
    for arguments in ((), ("--fresh",)):
        outcome = toolkit("evaluate", "run", *arguments, cwd=planted)
        assert outcome.code == 0, outcome.text
        found = report(planted / "run" / "evaluations" / "held-out")
        texts.append(json.dumps({**found, "created": "", "command": ""}))
    assert texts[0] == texts[1]
    first = report(planted / "run")
    assert json.loads(texts[0])["evaluation"] == first["evaluation"]


def test_every_check_runs_and_says_what_it_tested(planted: Path) -> None:
    pytest.importorskip("fairlearn")
    settings = ("--set", "evaluation.group_column=side", "--set", "evaluation.resamples=200")
    outcome = toolkit("evaluate", "run", "--checks", "all", *settings, cwd=planted)
    assert outcome.code == 0, outcome.text
    found = report(planted / "run" / "evaluations" / "held-out")
    assert faults(REPORT, found) == []
    evaluation = found["evaluation"]
    assert {one["name"] for one in evaluation["robustness"]["invariance"]} >= {"typos", "upper_case", "contractions"}
    assert evaluation["robustness"]["not_tested"] == ""
    assert {study["category"] for study in evaluation["bias"]["studies"]} == {
        "gender",
        "names",
        "nationality",
        "religion",
    }
    assert {group["name"] for group in evaluation["fairness"]["groups"]} == {"x", "y"}
    assert evaluation["cost"]["timings"]
    page = (planted / "run" / "evaluations" / "held-out" / "report.html").read_text(encoding="utf-8")
    for heading in ("When the text changes", "When other people are spoken of", "What a prediction costs"):
        assert heading in page
    wrong = toolkit("evaluate", "run", "--checks", "robustnes", cwd=planted)
    assert wrong.code == 2
    assert "robustness" in wrong.err


@pytest.mark.slow
def test_seeds_are_summed_up(planted: Path, tiny_distilbert: Path) -> None:
    outcome = toolkit(
        "finetune", "sentiment", "--model", tiny_distilbert, "--data", "data", "--epochs", "0.5", "--seeds", "2",
        "--output", "seeds", cwd=planted,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    found = report(planted / "seeds")
    assert faults(REPORT, found) == []
    assert [run["seed"] for run in found["seeds"]["runs"]] == [7, 8]
    assert "on average over 2 seeds" in outcome.out
    weights = [planted / "seeds" / f"seed-{seed}" / "model" / "model.safetensors" for seed in (7, 8)]
    assert checkpoints.digest(weights[0]) != checkpoints.digest(weights[1])
    compared = toolkit("compare", "seeds/seed-7", "seeds/seed-8", cwd=planted)
    assert compared.code == 0, compared.text
