"""Baselines are trained on train only."""

import pyarrow as pa

from toolkit.evaluation import baselines
from toolkit.evaluation.baselines import majority, tfidf_logistic_regression

LABELS = ("bad", "good")
TRAIN = pa.table(
    {"text": ["a dull film", "dull and slow", "dull", "a fine film", "so fine"] * 4, "label": [0, 0, 0, 1, 1] * 4}
)
TEST = pa.table({"text": ["fine acting", "a dull story", "FINE"], "label": [0, 1, 0]})


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
