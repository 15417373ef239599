"""A recipe with several classes in a row: its target is its own, and every command works on it."""

import csv
import json
import random
from pathlib import Path

import pytest

import toolkit
from tests.support.checkpoints import TINY
from tests.support.cli import several
from tests.support.errors import refused
from tests.support.json_documents import problems
from toolkit.errors import RecipeError
from toolkit.tasks import catalogue

RECIPE = Path(__file__).parents[1] / "support" / "recipes" / "topics.py"
WORDS = {"food": "bread soup rice", "sport": "ball goal race", "music": "song drum choir"}
ROWS = 150


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table, a run and the outcomes of commands."""
    folder = tmp_path_factory.mktemp("topics")
    chance = random.Random(0)
    with (folder / "topics.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "topics"])
        for number in range(ROWS):
            topics = [name for name in WORDS if chance.random() < 0.5]
            words = [chance.choice(WORDS[name].split()) for name in topics for _ in range(3)]
            writer.writerow([f"{number} " + " ".join(words), "; ".join(topics)])
    own = ("--recipe", RECIPE)
    commands: list[list[str | Path]] = [
        ["finetune", RECIPE, "--model", TINY, "--data", "topics.csv", "--output", "run", "--epochs", "1"],
        ["inspect", "topics.csv", "--recipe", RECIPE, "--model", TINY],
        ["predict", "run", "12 bread soup", *own],
        ["predict", "run", "12 bread soup", "--all-scores", *own],
        ["evaluate", "run", *own, "--fresh"],
        ["export", "run", "--to", "onnx", *own],
    ]
    outcomes = several(commands, folder)
    assert [outcome.code for outcome in outcomes] == [0] * len(commands), outcomes
    for name, outcome in zip(("inspect", "predict", "scores"), outcomes[1:], strict=False):
        (folder / f"{name}.txt").write_text(outcome.text, encoding="utf-8")
    return folder


def test_the_model_has_an_output_for_each_class(home: Path) -> None:
    report = json.loads((home / "run" / "report.json").read_text(encoding="utf-8"))
    assert problems("report.json", report) == []
    assert report["evaluation"]["labels"] == ["food", "music", "sport"]
    assert [metric["name"] for metric in report["evaluation"]["metrics"]] == ["f1"]
    assert len(json.loads((home / "run" / "model" / "config.json").read_text(encoding="utf-8"))["id2label"]) == 3


def test_shares_of_inspect_are_of_rows(home: Path) -> None:
    with (home / "topics.csv").open(encoding="utf-8", newline="") as stream:
        topics = [row["topics"].split("; ") for row in csv.DictReader(stream)]
    text = (home / "inspect.txt").read_text(encoding="utf-8")
    for name in WORDS:
        count = sum(name in row for row in topics)
        assert f"{name} {count} ({100 * count / ROWS:.1f} %)" in text
    bare = topics.count([""])
    assert f"rows without any {bare} ({100 * bare / ROWS:.1f} %)" in text


def test_a_typed_text_is_printed_with_the_columns_of_the_target(home: Path) -> None:
    text = (home / "predict.txt").read_text(encoding="utf-8")
    assert "count " in text
    assert "12 bread soup" in text
    assert all(f"score: {name} 0." in (home / "scores.txt").read_text(encoding="utf-8") for name in WORDS)


def test_a_loaded_model_returns_the_columns_of_the_target(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    model = toolkit.load("run", recipe=str(RECIPE), progress=False)
    (prediction,) = model.predict(["12 bread soup"])
    assert prediction.scores.keys() == WORDS.keys()
    assert prediction.columns["count"] == len(prediction.prediction)
    assert prediction.columns["prediction"] == prediction.prediction


def test_the_export_predicts_the_same(home: Path) -> None:
    facts = json.loads((home / "run" / "exports" / "onnx" / "export.json").read_text(encoding="utf-8"))
    assert facts["agreement"]["same"] == facts["agreement"]["rows"]


def test_a_recipe_that_was_named_once_stays_named_in_this_process(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setattr(catalogue, "_NAMED", set())
    with refused(RecipeError, "recipe.not-installed"):
        toolkit.load("run", progress=False)
    toolkit.inspect("topics.csv", recipe=RECIPE, model=TINY, progress=False)
    assert toolkit.load("run", progress=False).labels == ["food", "music", "sport"]
