"""Histories and next items: how values are read, shown and answered."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError

from toolkit.config import RunConfig
from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation.context import EvaluationContext, clusters
from toolkit.families import recommender
from toolkit.inference.predict import Predictions
from toolkit.tasks import loading
from toolkit.tasks.contract import with_accepted
from toolkit.tasks.inputs.history import HISTORY
from toolkit.tasks.targets.item import ITEM
from toolkit.tasks.task import AnswerFormat, Reading

HOW = AnswerFormat((), calibrated=False, all_scores=False)


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("a|b c| |d", ["a", "b c", "d"]),
        ('["a", "b|c"]', ["a", "b|c"]),
        ("[1, 2]", ["1", "2"]),
        ("12", ["12"]),
        (["a", 3, 4.0], ["a", "3", "4"]),
    ],
)
def test_histories_are_read(value, items):
    values = HISTORY.read([value], "history", Reading(None, 1))
    assert values.column.to_pylist() == [items]
    assert values.problems == [None]
    table = (
        pa.table({"history": pa.array([value])})
        if not isinstance(value, list)
        else pa.table({"history": [["a", "3", "4"]]})
    )
    assert HISTORY.in_shape(table, "history").to_pylist() == [items]


@pytest.mark.parametrize("value", [None, "", " | ", [], {"a": 1}, "['a', 'b", "\ud800"])
def test_bad_histories_have_a_problem(value):
    values = HISTORY.read([value], "past", Reading(None, 1))
    assert values.column.to_pylist() == [None]
    assert "`past`" in str(values.problems[0])


def test_requests_take_lists_and_texts():
    shape = TypeAdapter(HISTORY.json(20))
    assert shape.validate_python(["a", "b"]) == ["a", "b"]
    assert shape.validate_python("a|b") == "a|b"
    for wrong in ([], "", 7, ["x" * 21]):
        with pytest.raises(ValidationError):
            shape.validate_python(wrong)


def test_long_histories_are_shown_by_their_end():
    assert HISTORY.shown(["a", "b"]) == "a | b"
    assert HISTORY.shown([str(n) for n in range(30)]).startswith("… | 20 | ")


def test_answers_have_as_many_scores_as_items():
    rankings = ITEM.finish([], [["a", "b", "c"]], lambda rows: rows, {"top": 2})
    answer = ITEM.answer(rankings[0], [0.5, 0.25, 0.125], None, HOW)
    assert answer == {"prediction": ["a", "b"], "scores": [0.5, 0.25]}
    assert ITEM.empty(HOW).keys() == answer.keys()
    assert ITEM.line("x|y", answer) == "a 50.0 %, b 25.0 %  after x|y"
    assert ITEM.shown(["a", "b", "c", "d"], ()) == "a, b, c"
    assert ITEM.shown("a", ()) == "a"
    assert ITEM.same(["a", "b"], ["a", "c"])
    assert not ITEM.same(["a", "b"], ["b", "a"])


def test_rows_of_one_user_are_a_cluster():
    task = loading.load("recommend").task
    rows = pa.table({"history": [["a"]] * 4, "item": ["a"] * 4, "user": ["u", "v", None, "u"]})
    numbers = clusters(task, rows)
    assert numbers is not None
    assert numbers[0] == numbers[3]
    assert len(set(numbers.tolist())) == 3
    assert clusters(task, rows.drop_columns(["user"])) is None
    assert task.identifying_in(rows) == []
    assert task.stratum is None


def test_functions_get_the_arguments_that_they_have():
    assert with_accepted(lambda a, options: (a, options), options=1, processor=2)(0) == (0, 1)
    assert with_accepted(lambda a: a, options=1)(0) == 0


def test_recommended_items_are_described(tmp_path: Path):
    recommender.write_untrained(
        [["a", "b"], ["a", "c"], ["a", "d"]], tmp_path, width=4, layers=1, heads=1, dropout=0.0, longest=4, seed=0
    )
    recipe = loading.load("recommend")
    config = RunConfig(recipe="recommend", evaluation=EvaluationConfig(resamples=200), options={"exclude_seen": True})
    rows = pa.table({"history": [["b"], ["c", "d"], ["new"]], "item": ["a", "c", "x"], "user": ["u", "v", "v"]})
    rankings = [["a", "c"], ["a", "b"], ["a", "b"]]
    stored = SimpleNamespace(folder=tmp_path, recipe=recipe)
    context = EvaluationContext(rows, Predictions({"prediction": rankings}, None), recipe, (), config, stored=stored)
    section = ITEM.overview(context)["recommendations"]
    assert (section["items"], section["users"], section["unseen"], section["repeats"]) == (4, 2, 1, 1)
    assert section["coverage"] == pytest.approx(3 / 4)
    assert section["popularity_ratio"]["value"] == pytest.approx((12 / 6) / (3 / 4))
    assert np.isfinite(section["popularity_ratio"]["low"])
    assert ITEM.overview(EvaluationContext(rows, Predictions({}, None), recipe, (), config)) == {}
