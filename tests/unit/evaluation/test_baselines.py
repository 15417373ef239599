"""Baselines are trained on train only."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from tests.support.errors import refused
from tests.support.pictures import encoded
from toolkit.data.load import Splits
from toolkit.errors import RecipeError
from toolkit.evaluation import baselines
from toolkit.evaluation.baselines import (
    features,
    frequent_classes,
    linear,
    majority,
    mean_value,
    median_class,
    median_value,
    one_against_rest_pixels,
    one_against_rest_tfidf,
    ridge_pixels,
    ridge_tfidf,
    tfidf_logistic_regression,
)
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
    monkeypatch.setattr(features, "CHUNK", 2)
    assert tfidf_logistic_regression(TRAIN, TEST, LABELS) == expected
    monkeypatch.setattr(linear, "MOST_ROWS", 12)
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


# --- several classes a row ------------------------------------------------------------------------------------------

TOPICS = ("film", "music", "sport", "all")
SEVERAL = pa.table(
    {
        "text": ["a film", "a song in a film", "a song", "a match", "nothing of it", "a song after a match"] * 6,
        "labels": [[0, 3], [0, 1, 3], [1, 3], [2, 3], [3], [3, 2, 1]] * 6,
    }
)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([[0, 1], [1], [1, 2], [0]], [1]),
        ([[0, 1], [1, 0], [2], [3], []], [0, 1]),  # no class is in more than half
        ([[], [], [0], [1]], []),
        ([[1], [0]], [0]),  # the first of equals
    ],
)
def test_frequent_classes_are_those_of_most_rows_or_the_most_frequent_set(sets, expected):
    train = pa.table({"labels": pa.array(sets, pa.list_(pa.int64()))})
    assert frequent_classes(train, TEST, TOPICS) == [expected] * 3


def test_each_class_has_its_words():
    test = pa.table({"text": ["the film", "song and match", "unknown words"]})
    assert one_against_rest_tfidf(SEVERAL, test, (*TOPICS, "never")) == [[0, 3], [1, 2, 3], [3]]


def test_one_against_rest_is_scikit_learns(monkeypatch):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    random = np.random.default_rng(0)
    words = random.integers(0, 30, (120, 6))
    texts = [" ".join(f"w{word}" for word in row) for row in words]
    classes = [[number for number in range(4) if (row % 5 == number).sum() > 1] for row in words]
    train, test = ({"text": texts[part], "labels": classes[part]} for part in (slice(0, 80), slice(80, None)))
    monkeypatch.setattr(features, "CHUNK", 7)
    monkeypatch.setattr(linear, "_WEIGHTS", 1)  # one class at a time
    ours = one_against_rest_tfidf(pa.table(train), pa.table(test), TOPICS)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    onehot = np.array([[number in row for number in range(4)] for row in train["labels"]], int)
    model = OneVsRestClassifier(LogisticRegression(C=10.0, max_iter=1000))
    model.fit(vectorizer.fit_transform(train["text"]), onehot)
    theirs = model.predict(vectorizer.transform(test["text"]))
    assert ours == [np.flatnonzero(row).tolist() for row in theirs]
    assert len({tuple(row) for row in ours}) > 3


def test_texts_without_words_have_the_frequent_classes():
    train = pa.table({"text": ["!", "?", ":)"], "labels": [[0], [0, 1], [0]]})
    assert one_against_rest_tfidf(train, TEST, TOPICS) == [[0]] * 3


# --- numbers and ordered classes ------------------------------------------------------------------------------------


def test_constants_of_train():
    numbers = pa.table({"label": [1.0, 2.0, 2.5, 10.5]})
    assert mean_value(numbers, TEST, ()) == [4.0] * 3
    assert median_value(numbers, TEST, ()) == [2.25] * 3
    assert median_class(pa.table({"label": [4, 0, 1, 4, 2, 1]}), TEST, LABELS) == [1] * 3


def test_words_predict_numbers(monkeypatch):
    random = np.random.default_rng(0)
    rows = [random.permutation(["good"] * n + ["film"] * 3 + ["bad"] * (4 - n)) for n in random.integers(0, 5, 200)]
    train = pa.table({"text": [" ".join(row) for row in rows], "label": [float((row == "good").sum()) for row in rows]})
    test = pa.table({"text": ["good good good good film", "bad film bad bad bad", "good good bad bad"]})
    high, low, middle = ridge_tfidf(train, test, ())
    assert high > middle > low
    assert high > 3
    assert low < 1
    monkeypatch.setattr(features, "CHUNK", 2)
    assert ridge_tfidf(train, test, ()) == pytest.approx([high, low, middle])
    monkeypatch.setattr(linear, "_MOST_CHOSEN_ON", 50)
    monkeypatch.setattr(linear, "MOST_ROWS", 100)
    assert ridge_tfidf(train, test, ()) == pytest.approx([high, low, middle], abs=0.5)


def test_texts_without_words_have_the_mean():
    train = pa.table({"text": ["!", "?"], "label": [1.0, 4.0]})
    assert ridge_tfidf(train, TEST, ()) == [2.5] * 3


def test_a_penalty_keeps_noise_from_being_learnt():
    random = np.random.default_rng(1)
    texts = [" ".join(f"w{word}" for word in row) for row in random.integers(0, 200, (300, 8))]
    train = pa.table({"text": texts[:200], "label": random.normal(size=200)})
    assert np.std(ridge_tfidf(train, pa.table({"text": texts[200:]}), ())) < 0.3


# --- pictures -------------------------------------------------------------------------------------------------------


def shades(rows: int, seed: int) -> tuple[list[dict], np.ndarray]:
    """Return pictures whose red, green and blue are light or dark, and which are light. Shape (rows, 3)."""
    from PIL import Image

    random = np.random.default_rng(seed)
    light = random.random((rows, 3)) < 0.5
    noisy = random.integers(0, 100, (rows, 16, 16, 3)) + 120 * light[:, None, None]
    return [{"bytes": encoded(Image.fromarray(p.astype(np.uint8)), "PNG"), "path": None} for p in noisy], light


def test_pixels_predict_several_classes_and_numbers(monkeypatch):
    monkeypatch.setattr(features, "CHUNK", 20)
    (pictures, light), (others, truth) = shades(60, 0), shades(25, 1)
    test = pa.table({"image": others})
    train = pa.table({"image": pictures, "labels": [np.flatnonzero(row).tolist() for row in light]})
    assert one_against_rest_pixels(train, test, ("r", "g", "b")) == [np.flatnonzero(row).tolist() for row in truth]
    numbers = pa.table({"image": pictures, "label": light @ [1.0, 2.0, 4.0]})
    assert ridge_pixels(numbers, test, ()) == pytest.approx((truth @ [1.0, 2.0, 4.0]).tolist(), abs=0.5)
