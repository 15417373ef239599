"""Baselines are trained on train only."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.support.errors import refused
from toolkit.data.load import Splits
from toolkit.errors import RecipeError
from toolkit.evaluation import baselines
from toolkit.evaluation.baselines import majority, tfidf_logistic_regression
from toolkit.tasks import loading

LABELS = ("bad", "good")
TRAIN = pa.table(
    {"text": ["a dull film", "dull and slow", "dull", "a fine film", "so fine"] * 4, "label": [0, 0, 0, 1, 1] * 4}
)
TEST = pa.table({"text": ["fine acting", "a dull story", "FINE"], "label": [0, 1, 0]})
SPLITS = Splits(TRAIN, TRAIN, TEST, LABELS, {})


def test_the_most_frequent_class_of_train():
    assert majority(TRAIN, TEST, LABELS) == [0, 0, 0]
    assert majority(TEST.slice(1, 1), TRAIN, LABELS) == [1] * 20
    assert majority(pa.table({"label": [1, 0]}), TEST, LABELS) == [0] * 3  # the first of equals
    assert majority(pa.table({"stars": [1, 1, 0]}), TEST, LABELS, role="stars") == [1] * 3


def test_words_decide():
    assert tfidf_logistic_regression(TRAIN, TEST, LABELS) == [1, 0, 1]


def test_the_second_text_counts_and_may_be_missing():
    train = pa.table({"text": ["film"] * 8, "text_pair": ["dull", "fine"] * 4, "label": [0, 1] * 4})
    test = pa.table({"text": ["film"] * 3, "text_pair": ["fine", "dull", None]})
    assert tfidf_logistic_regression(train, test, LABELS)[:2] == [1, 0]


def test_texts_of_signs_alone_are_answered_with_the_majority():
    train = pa.table({"text": ["！！", "？？", ":)", ":("], "label": [1, 1, 1, 0]})
    assert tfidf_logistic_regression(train, pa.table({"text": ["words", ":("]}), LABELS) == [1, 1]


def test_a_large_train_is_sampled_and_a_large_test_answered_in_pieces(monkeypatch):
    expected = tfidf_logistic_regression(TRAIN, TEST, LABELS)
    monkeypatch.setattr(baselines, "_CHUNK", 2)
    assert tfidf_logistic_regression(TRAIN, TEST, LABELS) == expected
    monkeypatch.setattr(baselines, "MOST_ROWS", 12)
    assert tfidf_logistic_regression(pa.concat_tables([TRAIN] * 10), TEST, LABELS) == expected


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("sentiment", [0, 1]),  # a row too few
        ("sentiment", ["good"] * 3),
        ("sentiment", [0, 1, 2]),  # there are two classes
        ("sentiment", [0, None, 1]),
        ("sentiment", None),
        ("tokens", ["good"] * 3),
        ("tokens", [0] * 3),
        ("translation", [0] * 3),
    ],
)
def test_a_baseline_that_returns_something_else_is_named(name, made):
    recipe = replace(loading.load(name), baselines={"Mine": lambda *_: made})
    with refused(RecipeError, "recipe.baseline", "Mine", "3 predictions"):
        baselines.predict("Mine", recipe, SPLITS)


def test_a_baseline_that_fails_is_named():
    recipe = replace(loading.load("sentiment"), baselines={"Mine": lambda train, _test, _labels: train["absent"]})
    with refused(RecipeError, "recipe.baseline", "Mine", "absent"):
        baselines.predict("Mine", recipe, SPLITS)


@pytest.mark.parametrize(
    ("name", "made"),
    [("sentiment", np.array([0, 1, 1])), ("tokens", [[0, 1], [], (1,)]), ("translation", ["a", "", "c"])],
)
def test_predictions_of_the_right_type_are_kept(name, made):
    recipe = replace(loading.load(name), baselines={"Mine": lambda *_: made})
    assert baselines.predict("Mine", recipe, SPLITS) == list(made)
