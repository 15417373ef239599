"""Which checks are offered, and what is said of one that does not apply."""

import shlex
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.errors import refused
from toolkit.commands.evaluate.checks import check_columns, not_checked, run_checks
from toolkit.config import RunConfig
from toolkit.errors import ConfigError, DataError
from toolkit.evaluation.context import EvaluationContext
from toolkit.events import Note
from toolkit.inference.predict import Predictions
from toolkit.report.document.schema import REPORT, faults, fill
from toolkit.report.sections import checks as sections
from toolkit.tasks import loading

RECIPES = Path(__file__).parents[3] / "support" / "recipes"
OF_ONE_TEXT = {"text": ["a"], "label": [0]}
OF_TOPICS = {"text": ["a"], "topics": [[0]]}


def context(recipe: str, rows: dict, *checks: str) -> EvaluationContext:
    config = RunConfig(recipe=recipe, model="m", data={"source": "d"}, evaluation={"checks": checks})
    predictions = Predictions({"prediction": [0]}, None)
    return EvaluationContext(pa.table(rows), predictions, loading.load(recipe), ("bad", "good"), config)


@pytest.mark.parametrize(
    ("recipe", "rows", "offered"),
    [
        ("sentiment", OF_ONE_TEXT, {"robustness", "bias", "cost"}),
        ("sentiment", {**OF_ONE_TEXT, "text_pair": ["b"]}, {"robustness", "bias", "cost"}),
        ("image", {"image": [b""], "label": [0]}, {"robustness", "cost"}),
        ("tokens", {"words": [["a"]], "labels": [[0]]}, {"robustness", "cost"}),
        (str(RECIPES / "topics.py"), OF_TOPICS, {"cost"}),
    ],
)
def test_only_checks_that_apply_are_offered(recipe, rows, offered):
    found = not_checked(context(recipe, rows), {}, "toolkit evaluate run")
    assert set(found["checks"]) == offered
    assert faults(REPORT["evaluation"]["not_checked"], found) == []


def test_the_command_names_the_recipe_file_and_runs_the_same_checks_again():
    recipe = str(RECIPES / "topics.py")
    found = not_checked(context(recipe, OF_TOPICS), {}, "toolkit evaluate 'a run' --data d.csv --output there")
    expected = ["toolkit", "evaluate", "a run", "--data", "d.csv", "--recipe", recipe, "--checks", "cost"]
    assert shlex.split(found["command"]) == expected
    two: dict = {"bias": {}, "cost": {}}
    again = not_checked(context("sentiment", OF_ONE_TEXT, *two), two, "toolkit evaluate r")
    assert shlex.split(again["command"]) == ["toolkit", "evaluate", "r", "--checks", "bias,cost,robustness"]
    shown = fill(REPORT["evaluation"], {"not_checked": again, "metrics": [{"name": "accuracy"}]})
    assert again["command"] in sections.untested(shown)[0].lead
    every = {**two, "robustness": {}}
    assert not_checked(context("sentiment", OF_ONE_TEXT, *every), every, "toolkit evaluate r") == {}


def test_a_named_check_that_does_not_apply_is_reported_and_does_not_begin():
    events: list = []
    wanted = ("robustness", "bias", "explanations", "faithfulness")
    found = run_checks(context(str(RECIPES / "topics.py"), OF_TOPICS, *wanted), None, events.append)
    assert {key: set(section) for key, section in found.items()} == {key: {"not_tested"} for key in wanted}
    assert [type(event) for event in events] == [Note] * 4
    assert all(any(name in event.text for event in events) for name in wanted)


@pytest.mark.parametrize("key", ["group_column", "query_column"])
def test_named_columns_have_to_be_there_and_fit_the_task(key):
    config = RunConfig(recipe="text", model="m", data={"source": "d"}, evaluation={key: "qid"})
    check_columns(config, loading.load("text"), ["text", "label", "qid"])
    with refused(DataError, "data.column-missing", f"evaluation.{key}", "qid"):
        check_columns(config, loading.load("text"), ["text", "label"])
    with refused(ConfigError, "config.not-for-task", f"evaluation.{key}"):
        check_columns(config, loading.load("tokens"), ["words", "labels", "qid"])
