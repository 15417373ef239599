"""Pairs of similar texts are the same as in a comparison of every pair."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.evaluation.duplicates import near_duplicates
from toolkit.evaluation.duplicates.near_duplicates import THRESHOLD, pieces

VOCABULARY = [a + b + c for a in ("ka", "mo", "ti", "ru") for b in ("la", "ne", "so") for c in ("", "st", "nd")]


def overlap(one, other):
    one, other = set(pieces(one).tolist()), set(pieces(other).tolist())
    return len(one & other) / len(one | other)


def find(train, test):
    return near_duplicates.find([(text,) for text in train], [(text,) for text in test])


def sentence(draw: random.Random, words: int) -> list[str]:
    return [draw.choice(VOCABULARY) + draw.choice(VOCABULARY) for _ in range(words)]


def test_planted_leaks_are_found_and_nothing_else():
    draw = random.Random(0)
    train = [" ".join(sentence(draw, 20)) for _ in range(300)]
    test = [" ".join(sentence(draw, 20)) for _ in range(100)]
    for number in range(0, 100, 10):  # one word in twenty is another
        words = train[number * 3].split()
        words[number % 20] = "something"
        test[number] = " ".join(words).upper() + " !!"
    result = find(train, test)
    assert {(pair.test, pair.train) for pair in result} == {(number, number * 3) for number in range(0, 100, 10)}
    assert all(THRESHOLD <= pair.similarity < 1 for pair in result)


def test_the_pairs_are_those_of_comparing_everything():
    draw = random.Random(1)
    train = [" ".join(sentence(draw, 12)) for _ in range(60)]
    test = []
    for text in train:
        words = text.split()
        for _ in range(draw.randint(0, 4)):
            words[draw.randrange(12)] = draw.choice(VOCABULARY) + draw.choice(VOCABULARY)
        test.append(" ".join(words))
    expected = {}
    for row, text in enumerate(test):
        likest = max((overlap(other, text), -number) for number, other in enumerate(train))
        if likest[0] >= THRESHOLD:
            expected[row] = (-likest[1], likest[0])
    results = {pair.test: (pair.train, pair.similarity) for pair in find(train, test)}
    assert results.keys() <= expected.keys()
    assert len(results) >= len(expected) - 2  # a pair near the threshold may be missed
    assert all(results[row] == expected[row] for row in results)


def test_one_text_may_be_like_many():
    texts = [f"the parcel of order {number} has not arrived" for number in range(300)]
    result = find(texts, [*texts[:40], "nothing like it"])
    assert {pair.test: pair.train for pair in result} == {row: row for row in range(40)}
    assert find(texts, []) == []


@given(st.text(max_size=60))
def test_a_text_repeats_itself_whatever_its_case_and_signs(text):
    assert overlap(text, text) == 1
    (pair,) = find([f"  {text} ?!"], [text])
    assert pair.similarity == 1


@pytest.mark.parametrize("text", ["", "a", "日本", "\ud800"])
def test_short_and_odd_texts_have_pieces(text):
    assert len(pieces(text)) == 1


def test_signatures_are_the_same_every_time():
    assert list(near_duplicates._bands(pieces("the same text"))) == list(
        near_duplicates._bands(pieces("The same text."))
    )


def test_pairs_with_a_common_passage_are_not_duplicates_unless_both_texts_are():
    draw = random.Random(2)
    passage = " ".join(sentence(draw, 40))
    questions = [" ".join(sentence(draw, 6)) for _ in range(20)]
    train = [(passage, question) for question in questions[:10]]
    test = [(passage, questions[3].upper()), *((passage, question) for question in questions[10:])]
    assert [(pair.test, pair.train) for pair in near_duplicates.find(train, test)] == [(0, 3)]
