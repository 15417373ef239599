"""Contractions and negations are parts of a text that stay together."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.evaluation.perturbations.text_changes import load_lists
from toolkit.explanation.units import joined, units

LISTS = load_lists(None)


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in units(text, LISTS)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It isn't good.", ["It", "isn't good", "."]),
        ("it\u2019s fine", ["it\u2019s", "fine"]),
        ("it 's fine", ["it", "'s", "fine"]),
        ("does n't work", ["does", "n't work"]),
        ("not a very good film", ["not a very good", "film"]),
        ("Never again!", ["Never again", "!"]),
        ("I do NOT, ever", ["I", "do", "NOT", ",", "ever"]),
        ("why not", ["why", "not"]),
        ("not so very very very very long", ["not", "so", "very", "very", "very", "very", "long"]),
        ("he said 'hello there'", ["he", "said", "'", "hello", "there", "'"]),
        ("rock'n'roll is no fun", ["rock'n'roll", "is", "no fun"]),
        ("snake_case 日本", ["snake", "_", "case", "日本"]),
        ("", []),
    ],
)
def test_parts(text, expected):
    assert parts(text) == expected


@given(st.text(alphabet="not a'very good.,\u2019n", max_size=60))
def test_every_letter_is_in_one_part(text):
    spans = units(text, LISTS)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    inside = {place for start, end in spans for place in range(start, end)}
    assert {place for place, sign in enumerate(text) if not sign.isspace()} <= inside


def test_tokens_are_joined_by_the_parts_that_they_begin_in():
    # "[CLS] it is not good ! [SEP]", where "good" has two tokens
    offsets = [(0, 0), (0, 2), (3, 5), (6, 9), (10, 12), (12, 14), (14, 15), (0, 0)]
    spans = [(1,), (2,), (3,), (4, 5), (6,)]
    assert joined(spans, offsets, units("it is not good!", LISTS)) == [(1,), (2,), (3, 4, 5), (6,)]
