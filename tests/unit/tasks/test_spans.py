"""Entities as spans of words, and the schemes of labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOBES, Entities

from toolkit.tasks import spans
from toolkit.tasks.spans import Span

IOB = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), max_size=12)


@st.composite
def entities(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Return entities that do not overlap, and the number of words."""
    found, at = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = at + draw(st.integers(0, 3))
        at = start + draw(st.integers(1, 3))
        found.append(Span(start, at, draw(st.sampled_from(["PER", "LOC"]))))
    return found, at + draw(st.integers(0, 2))


@given(IOB)
def test_spans_are_those_of_seqeval(labels: list[str]) -> None:
    theirs = {(start, end + 1, kind) for kind, start, end in get_entities(labels)}
    assert set(spans.spans_of(labels)) == theirs


@given(IOB)
def test_rewriting_keeps_entities_and_words(labels: list[str]) -> None:
    fixed = spans.in_iob2(labels)
    assert spans.spans_of(fixed) == spans.spans_of(labels)
    assert [label == "O" for label in fixed] == [label == "O" for label in labels]
    assert spans.in_iob2(fixed) == fixed
    assert spans.labels_of(spans.spans_of(fixed), len(fixed)) == fixed


@given(entities())
def test_marked_ends_are_rewritten(drawn: tuple[list[Span], int]) -> None:
    found, words = drawn
    for single, last, scheme in (("S", "E", IOBES), ("U", "L", BILOU)):
        labels = spans.labels_of(found, words)
        for start, end, kind in found:
            labels[end - 1] = f"{last if end - start > 1 else single}-{kind}"
        assert spans.spans_of(spans.in_iob2(labels)) == found
        (theirs,) = Entities([labels], scheme).entities
        assert [(entity.start, entity.end, entity.tag) for entity in theirs] == [tuple(span) for span in found]


def test_iob1_is_rewritten() -> None:
    assert spans.in_iob2(["I-PER", "I-PER", "B-PER", "O", "I-LOC"]) == ["B-PER", "I-PER", "B-PER", "O", "B-LOC"]


@pytest.mark.parametrize(
    ("labels", "is_one"),
    [
        (["O", "B-PER"], True),
        (["S-PER", "O"], True),
        (["O", "I-PER"], False),  # without any B- it is a scheme of its own
        (["O"], False),
        (["NOUN", "B-PER"], False),
        (["0", "1"], False),
    ],
)
def test_schemes_are_recognised(labels: list[str], is_one: bool) -> None:
    assert spans.is_scheme(labels) is is_one


def test_types() -> None:
    assert spans.types_of(["O", "I-LOC", "B-creative-work", "NOUN", "B-LOC"]) == ["LOC", "creative-work"]
