"""Error rates of transcripts are jiwer's, in sums over recordings."""

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.metrics import as_module, load
from toolkit.metrics.transcription import AS_WRITTEN, METRICS, PLAIN, edits

WORDS = st.lists(st.sampled_from(["the", "The", "cat", "sat,", "it's", "3.5", "Größe", "-", "."]), max_size=8)
TEXTS = WORDS.map(" ".join)
FULL = st.tuples(TEXTS, TEXTS.map(lambda text: f"{text} end"))  # jiwer needs a reference
CORPUS = st.lists(FULL, min_size=1, max_size=5)
LETTERS = st.text("abc", max_size=8)


def ours(name, written, true):
    metric = METRICS[name]
    return float(metric.aggregate(metric.statistics(written, true, ()).sum(axis=0)))


@given(CORPUS)
def test_they_are_jiwers(rows):
    written, true = [text for text, _ in rows], [other for _, other in rows]
    assert ours("wer_as_written", written, true) == pytest.approx(jiwer.wer(true, written))
    assert ours("cer_as_written", written, true) == pytest.approx(jiwer.cer(true, written))
    plain = [[PLAIN(text) for text in side] for side in (true, written)]
    assert ours("wer", written, true) == pytest.approx(jiwer.wer(*plain))
    assert ours("cer", written, true) == pytest.approx(jiwer.cer(*plain))


@given(st.text(st.characters(codec="utf-8", exclude_characters="ſẞßŉ", categories=["L", "P", "Z"]), max_size=12))
def test_punctuation_and_case_are_removed_as_by_jiwer(text):
    theirs = jiwer.Compose([jiwer.RemovePunctuation(), jiwer.ToLowerCase()])
    ascii_text = text.encode("ascii", "ignore").decode()
    assert PLAIN(ascii_text) == " ".join(theirs(ascii_text).split())
    assert PLAIN(PLAIN(text)) == PLAIN(text)


@given(LETTERS, LETTERS, LETTERS)
def test_edits_are_a_distance(first, second, third):
    there = edits(first, second)
    assert there == edits(second, first)
    assert (there == 0) == (first == second)
    assert abs(len(first) - len(second)) <= there <= max(len(first), len(second))
    assert edits(first, third) <= there + edits(second, third)


@pytest.mark.parametrize(
    ("first", "second", "expected"), [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("abc", "cab", 2)]
)
def test_edits(first, second, expected):
    assert edits(first, second) == expected
    assert edits(first.split("t"), first.split("t")) == 0


def test_long_recordings_count_more():
    assert ours("wer", ["a b c d", "x"], ["a b c d", "y"]) == pytest.approx(1 / 5)
    sums = METRICS["wer"].statistics(["a b c d", "x"], ["a b c d", "y"], ())
    assert METRICS["wer"].aggregate(np.stack([sums[0], sums[1], sums.sum(axis=0)])) == pytest.approx([0, 1, 1 / 5])


def test_normalisation():
    assert PLAIN("  It’s\tTWENTY-one, “Größe”! ") == "its twentyone grösse"
    assert AS_WRITTEN("  It's\tA ") == "It's A"
    assert PLAIN("e\u0301") == "é"
    assert PLAIN("3 $ = three") == "3 $ = three"  # neither numbers nor symbols are spelt out
    assert (
        ours("wer", ["hello world"], ["Hello, world!"])
        == 0
        < ours("wer_as_written", ["hello world"], ["Hello, world!"])
    )


def test_empty_texts():
    assert ours("wer", [None, ""], ["a b", "c"]) == 1
    assert ours("wer", ["a"], ["?"]) == 1
    assert ours("cer", ["", ""], ["", ""]) == 0
    assert ours("wer", ["a b c"], ["x"]) == 3


def test_as_a_module_with_a_signature():
    module, definition = load("wer")
    assert module is None
    module = as_module(definition)
    assert module.compute(predictions=["a b"], references=["a c"])["wer"] == pytest.approx(0.5)
    assert not definition.higher_is_better
    assert (
        definition.signature()
        == "unit:word|case:folded|punctuation:removed|space:single|unicode:NFC|numbers:as-written"
    )
    assert METRICS["cer_as_written"].signature().startswith("unit:character|case:kept|punctuation:kept")
    assert as_module(METRICS["cer"]).compute(predictions=["ab"], references=["abcd"])["cer"] == 0.5
