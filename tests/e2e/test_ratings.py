"""A recipe whose labels are ordered classes and whose predictions are numbers between them."""

import csv
import json
import random
from pathlib import Path

import pytest

import toolkit
from tests.support.checkpoints import TINY
from tests.support.json_documents import problems

RECIPE = Path(__file__).parents[1] / "support" / "recipes" / "ratings.py"
WORDS = {1: "awful", 2: "weak", 3: "average", 4: "good", 5: "superb"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[toolkit.Run]:
    """Two runs on the same rows."""
    folder = tmp_path_factory.mktemp("ratings")
    chance = random.Random(0)
    with (folder / "ratings.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "rating"])
        for number in range(150):
            rating = chance.randint(1, 5)
            writer.writerow([f"film {number} was {WORDS[rating]}", rating])
    settings = {"evaluation.checks": ["robustness"], "training.linear_probe": True}
    given = {"model": TINY, "data": folder / "ratings.csv", "set": settings, "progress": False}
    return [toolkit.finetune(RECIPE, **given, epochs=epochs, output=folder / f"run-{epochs}") for epochs in (1, 2)]


def test_figures_are_distances_and_no_warning_takes_numbers_for_classes(runs: list[toolkit.Run]) -> None:
    report = runs[0].report
    assert problems("report.json", report) == []
    assert [metric["name"] for metric in report["evaluation"]["metrics"]] == ["mae", "within_one"]
    assert "far below chance" not in json.dumps(report["verdict"])
    assert report["evaluation"]["robustness"]["accuracy"] > 0
    probe = report["baselines"][0]["metrics"][0]
    assert probe["name"] == "mae"
    assert probe["value"] < 1.5  # numbered from 0, classes would be one off their ratings


def test_a_prediction_has_the_columns_of_its_target(runs: list[toolkit.Run]) -> None:
    (prediction,) = toolkit.load(runs[0], progress=False).predict(["film 3 was good"])
    assert 1 <= prediction.prediction <= 5
    assert prediction.columns["nearest"] in {"1", "2", "3", "4", "5"}
    assert prediction.line.startswith(f"{prediction.prediction:.4g}  (nearest {prediction.columns['nearest']}")


def test_models_are_compared_by_the_first_metric(runs: list[toolkit.Run], tmp_path: Path) -> None:
    report = toolkit.compare(runs, output=tmp_path / "compared", progress=False).report
    (pair,) = report["comparison"]["pairs"]
    assert pair["differences"][0]["name"] == "mae"
    assert "both_right" not in pair
    assert report["comparison"]["parted_by"] == "Mean absolute error"


def test_words_of_a_rating_are_explained(runs: list[toolkit.Run]) -> None:
    scores = toolkit.load(runs[0], progress=False).explain("film 3 was good")
    assert len(scores.scores) == len(scores.words) == 4
