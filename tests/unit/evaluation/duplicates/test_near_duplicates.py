"""Pairs of similar texts are the same as in a comparison of every pair, and changed copies are found."""

import math
import random
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.evaluation.duplicates import near_duplicates
from toolkit.evaluation.duplicates.near_duplicates import THRESHOLD, pieces

_draw = random.Random(20231009)
VOCABULARY = ["".join(_draw.choice("etaoinshrdlucmfwygpbvk") for _ in range(_draw.randint(2, 9))) for _ in range(3000)]
RARITY = [1 / rank for rank in range(1, 3001)]  # as words of a language are


def table(*texts):
    return pa.table({str(role): list(column) for role, column in enumerate(texts)})


def search(train, test):
    """Search columns of texts."""
    roles = [str(role) for role in range(len(train))]
    return near_duplicates.find(near_duplicates.summary(table(*train), roles), table(*test), roles)


def find(train, test):
    return search([train], [test])


def overlaps(train, test):
    """Return the similarity of each test text to each training text, computed pair by pair."""
    kept = [set(pieces(text).tolist()) for text in (*train, *test)]
    different = {frozenset(own) for own in kept[: len(train)]}, {frozenset(own) for own in kept[len(train) :]}
    every = [own for part in different for own in part]
    frequency = Counter(piece for own in every for piece in own)
    weights = {piece: math.log((len(every) + 1) / count) for piece, count in frequency.items()}

    def weight(own):
        return sum(weights[piece] for piece in own)

    rows = range(len(train))
    return [
        [weight(kept[n] & own) / math.sqrt(weight(kept[n]) * weight(own)) for n in rows] for own in kept[len(train) :]
    ]


def sentence(draw: random.Random, words: int) -> list[str]:
    return draw.choices(VOCABULARY, RARITY, k=words)


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


def test_the_pairs_are_those_of_comparing_everything(monkeypatch):
    monkeypatch.setattr(near_duplicates, "LEAST_FREQUENT", 1000)  # none are left out
    draw = random.Random(1)
    train = [" ".join(sentence(draw, 12)) for _ in range(60)]
    test = []
    for text in train:
        words = text.split()
        for _ in range(draw.randint(0, 4)):
            words[draw.randrange(12)] = draw.choice(VOCABULARY)
        test.append(" ".join(words))
    expected = {}
    for row, values in enumerate(overlaps(train, test)):
        likest = max((value, -number) for number, value in enumerate(values))
        if likest[0] >= THRESHOLD:
            expected[row] = (-likest[1], pytest.approx(likest[0]))
    assert 20 < len(expected) < 60
    assert {pair.test: (pair.train, pair.similarity) for pair in find(train, test)} == expected


def test_one_text_may_be_like_many():
    texts = [f"the parcel of order {number} has not arrived" for number in range(300)]
    result = find(texts, [*texts[:40], "nothing like it"])
    assert {pair.test: pair.train for pair in result} == {row: row for row in range(40)}
    assert find(texts, []) == []


@given(st.text(max_size=60))
def test_a_text_repeats_itself_whatever_its_case_and_signs(text):
    (pair,) = find([f"  {text} ?!"], [text])
    assert pair.similarity == 1


@pytest.mark.parametrize("text", ["", "a", "日本", "\ud800"])
def test_short_and_odd_texts_have_pieces(text):
    assert len(pieces(text)) == 1


def test_a_share_of_the_pieces_is_enough(monkeypatch):
    draw = random.Random(3)
    train = [" ".join(sentence(draw, 60)) for _ in range(100)]
    test = [" ".join(train[3 * row].split()[:45]) for row in range(20)] + [" ".join(sentence(draw, 60))]
    whole = near_duplicates.summary(table(train), ["0"])
    monkeypatch.setattr(near_duplicates, "MOST_PIECES", sum(map(len, whole["0"].to_pylist())) // 3)
    kept = near_duplicates.summary(table(train), ["0"])
    assert kept.schema.metadata == {b"one piece in": b"4"}
    pairs = near_duplicates.find(kept, table(test), ["0"])
    assert {pair.test: pair.train for pair in pairs} == {row: 3 * row for row in range(20)}


def test_changes_of_short_texts_are_found():
    draw = random.Random(4)
    train = [" ".join(sentence(draw, draw.randint(7, 12))) for _ in range(500)]
    other = [" ".join(sentence(draw, draw.randint(7, 12))) for _ in range(200)]

    def replaced(text):
        own = text.split()
        own[draw.randrange(len(own))] = draw.choice(VOCABULARY)
        return " ".join(own)

    def found(test):
        return sum(pair.test < 200 for pair in find(train, [*test, *other]))

    assert found([replaced(text) for text in train[:200]]) >= 180
    assert found([" ".join(text.split()[: math.ceil(0.6 * len(text.split()))]) for text in train[:200]]) >= 180
    assert found([f"{text.title()}!" for text in train[:200]]) == 200
    assert find(train, other) == []


def test_texts_of_one_form_are_no_duplicates():
    draw = random.Random(5)
    names = ["".join(draw.choice("bcdfghklmnprstvwz") + draw.choice("aeiou") for _ in range(5)) for _ in range(300)]
    texts = [f"transitional package for the library {name}" for name in names]
    assert find(texts[:200], texts[200:]) == []
    assert [(pair.test, pair.train) for pair in find(texts[:200], [texts[7].upper()])] == [(0, 7)]


def test_pairs_with_a_common_passage_are_not_duplicates_unless_both_texts_are():
    draw = random.Random(2)
    passage = " ".join(sentence(draw, 40))
    questions = [" ".join(sentence(draw, 6)) for _ in range(20)]
    train = [[passage] * 10, questions[:10]]
    test = [[passage] * 11, [questions[3].upper(), *questions[10:]]]
    assert [(pair.test, pair.train) for pair in search(train, test)] == [(0, 3)]
