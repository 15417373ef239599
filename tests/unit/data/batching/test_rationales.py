"""Phrases that people marked, and the tokens that they are."""

import pytest

from tests.support import models
from toolkit.data.batching import rationales


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, []), ("", []), ("late", ["late"]), ("very late | broken", ["very late", "broken"]),
        (["a", None, " b "], ["a", "b"]), ('["a | b", "c"]', ["a | b", "c"]), ("[unclear", ["[unclear"]),
    ],
)  # fmt: skip
def test_phrases_of_a_cell(cell, expected):
    assert rationales.phrases(cell) == expected


@pytest.mark.parametrize(
    ("phrase", "found"),
    [
        ("late", ["late"]), ("LATE", ["late"]), ("was late", ["was late"]), ("at", []), ("it, bad", ["it", "bad"]),
        ("it late", ["it", "late"]), ("bad!", ["bad!"]), ("(", []),
    ],
)  # fmt: skip
def test_phrase_spans(phrase, found):
    text = "it was late, and related to bad!"
    expected = ["bad"] if phrase == "it, bad" else found
    assert [text[start:end] for start, end in rationales.spans(text, [phrase])] == expected


def test_marks_are_of_tokens_and_of_both_texts():
    tokenizer = models.tokenizer()
    cases = [(("the cat sleeps", "and sat"), ["sleeps"], ["sle", "##eps"]),
             (("a mat", "on sleeps"), ["sleeps", "a"], ["a", "sle", "##eps"])]  # fmt: skip
    for texts, wanted, expected in cases:
        encoding = tokenizer(*texts).encodings[0]
        marks = rationales.marks(encoding, texts, wanted)
        assert len(marks) == len(encoding.ids)
        assert [token for token, mark in zip(encoding.tokens, marks, strict=True) if mark] == expected


def test_unmatched_rationales_are_counted():
    assert (
        rationales.lost(
            [["late"], ["gone"], [], ["in pair"]], [("so late", None), ("x", ""), ("y", ""), ("", "in pair")]
        )
        == 1
    )
