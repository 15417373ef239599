"""A metric, a loss and a check of the user's own, through the command line; and the recipe that is written to start."""

import json
from pathlib import Path

import pytest

from tests.support import checkpoints
from tests.support.browser import check_page
from tests.support.cli import several, toolkit

CODE = """
def cost(predictions, references):
    return [5.0 * (p != r) for p, r in zip(predictions, references)]
cost.higher_is_better = False
cost.unit = "value"

def loss(outputs, batch):
    return ((outputs.logits.float().softmax(-1)[range(len(batch["labels"])), batch["labels"]] - 1) ** 2).mean()

def broken(outputs, batch):
    return loss(None, batch)

def rows(context):
    return {"title": "Rows <script>", "columns": ["class", "rows"], "rows": [[n, 1.0] for n in context.labels]}
"""


def test_own_parts_in_training_and_evaluation(tiny_distilbert: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    checkpoints.reviews(tmp_path / "train.csv", 160, seed=1)
    command = ("finetune", "sentiment", "--model", tiny_distilbert, "--data", "train.csv", "--epochs", "1")
    command = (*command, "--set", "evaluation.resamples=100", "--set", "training.few_labels=off")
    parts = ("--set", "own.metrics=[mine.py:cost]", "--set", "own.checks=[mine.py:rows]")
    best = ("--set", "training.best_metric=cost", "--set", "own.loss=mine.py:loss")
    trained, broken = several(
        [
            (*command, *parts, *best, "--output", "run"),
            (*command, "--set", "own.loss=mine.py:broken", "--output", "other"),
        ],
        tmp_path,
        all_of_them=True,
    )
    assert trained.code == 0, trained.text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    figures = {metric["name"]: metric for metric in report["evaluation"]["metrics"]}
    assert figures["cost"]["value"] == pytest.approx(5 * (1 - figures["accuracy"]["value"]))
    if 0 < figures["accuracy"]["value"] < 1:  # costs that are all equal have no interval
        assert figures["cost"]["low"] < figures["cost"]["value"] < figures["cost"]["high"]
    (section,) = report["evaluation"]["own"]
    assert section["rows"] == [["negative", "1"], ["positive", "1"]]
    page = tmp_path / "run" / "report.html"
    assert "Rows <script>" not in page.read_text(encoding="utf-8")
    check_page(page)
    assert broken.code == 2, broken.text
    assert "recipe.code-failed" in broken.text
    assert "mine.py, line 8, in loss" in broken.text

    later, named, again, repaired = several(
        [
            ("evaluate", "run", "--output", "plain"),
            ("evaluate", "run", "--output", "named", *parts),
            ("finetune", "sentiment", "--config", "run/config.yaml", "--output", "copy"),
            ("repair", "run"),
        ],
        tmp_path,
        all_of_them=True,
    )
    assert (later.code, named.code) == (0, 0), later.text + named.text
    for part in ("mine.py:cost", "mine.py:rows"):  # what was left out is named
        assert (part in later.err, part in named.err) == (True, False), later.err + named.err
    reports = [json.loads((tmp_path / place / "report.json").read_text("utf-8")) for place in ("plain", "named")]
    names = [[metric["name"] for metric in report["evaluation"]["metrics"]] for report in reports]
    assert names[1] == [*names[0], "cost"]
    assert (again.code, "config.trust-in-file" in again.text) == (2, True), again.text
    assert (repaired.code, "run.own-parts" in repaired.text) == (2, True), repaired.text


def test_new_recipe_passes_its_own_test(tmp_path: Path) -> None:
    made = toolkit("recipes", "new", "spam-cost", cwd=tmp_path)
    assert made.code == 0, made.text
    folder = tmp_path / "spam-cost"
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} == {
        *("pyproject.toml", "spam_cost/__init__.py", "spam_cost/recipe.py", "spam_cost/test_recipe.py")
    }
    assert 'spam-cost = "spam_cost.recipe"' in (folder / "pyproject.toml").read_text(encoding="utf-8")
    for name in ("spam-cost", "sentiment", "Spam", "-x"):
        refused = toolkit("recipes", "new", *(["--"] if name.startswith("-") else []), name, cwd=tmp_path)
        assert refused.code == 2, refused.text
    space: dict = {"__file__": str(folder / "spam_cost" / "test_recipe.py")}
    exec(compile((folder / "spam_cost" / "test_recipe.py").read_text("utf-8"), space["__file__"], "exec"), space)
    space["test_recipe_trains_and_reports_its_metric"](tmp_path)
