"""Promises are checked, and become limits that the answers keep."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.errors import refused
from toolkit.commands.predict.answer_options import USUAL, AnswerOptions
from toolkit.errors import ConfigError, ModelError, SourceError
from toolkit.evaluation.statistics.promises import selective
from toolkit.tasks import loading
from toolkit.tasks.task import AnswerFormat, Limits


def model(rows, recipe="text", target=None):
    loaded = loading.load(recipe)
    loaded = loaded.for_target(target) if target else loaded
    return SimpleNamespace(
        recipe=loaded, labels=("a", "b", "c"), calibration={"validation_rows": rows} if rows else {}, folder="m"
    )


def rows_of(count):
    random = np.random.default_rng(0)
    true = random.integers(0, 3, count)
    logits = random.normal(size=(count, 3))
    logits[np.arange(count), true] += 2.5
    table = np.exp(logits)
    return selective.kept(table / table.sum(axis=1, keepdims=True), true)


def test_nothing_is_promised_unless_it_is_wanted():
    assert USUAL.limits(model(None)) == Limits()


def test_limits_come_from_the_validation_rows():
    rows = rows_of(600)
    limits = AnswerOptions(max_error=0.1, sets=0.9).limits(model(rows))
    assert limits.max_error == 0.1
    assert limits.least_score == selective.threshold(rows, 0.1)
    assert limits.sets == selective.set_limits(rows, 0.9, 3)


@pytest.mark.parametrize("wanted", [{"max_error": 0.0}, {"max_error": 1.0}, {"sets": 90.0}])
def test_shares_are_between_0_and_1(wanted):
    with refused(ConfigError, "config.out-of-range"):
        AnswerOptions(**wanted).check()


def test_what_cannot_be_promised_is_refused():
    with refused(ConfigError, "config.conflict", "--sets"):
        AnswerOptions(by_class=True).check()
    with refused(ModelError, "model.no-promise"):
        AnswerOptions(max_error=0.1).limits(model(None))
    for wanted in ({"max_error": 0.001}, {"sets": 0.999}):
        with refused(ConfigError, "model.no-promise", "100"):
            AnswerOptions(**wanted).limits(model(rows_of(100)))
    for target in ("number", "classes", "stars"):
        with refused(ConfigError, "config.not-for-task"):
            AnswerOptions(sets=0.9).limits(model(rows_of(100), target=target))
    with refused(SourceError, "run.damaged"):
        AnswerOptions(max_error=0.1).limits(model({"score": "x", "right": [1]}))


def test_answers_keep_the_limits():
    target = loading.load("text").target
    how = AnswerFormat(("a", "b", "c"), False, False, limits=Limits(0.7, 0.05, [0.3, 0.3, 0.3]))
    sure = target.answer(0, [0.8, 0.15, 0.05], None, how)
    assert sure == {"prediction": "a", "score": 0.8, "abstained": None, "set": ["a"]}
    unsure = target.answer(1, [0.3, 0.6, 0.1], None, how)
    assert (unsure["prediction"], unsure["set"]) == (None, ["a", "b"])
    assert all(fact in unsure["abstained"] for fact in ("b", "0.600", "0.700", "5 %"))
    assert target.empty(how).keys() == sure.keys()
    assert "no answer" in target.line("x", unsure)
    assert "set: a" in target.line("x", sure)
