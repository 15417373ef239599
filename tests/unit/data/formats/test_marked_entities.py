"""Texts with marked entities."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.data.formats import marked_entities
from toolkit.data.sources import entity_files
from toolkit.errors import ConfigError, DataError
from toolkit.tasks.spans import spans_of

HERE = Path("data.jsonl")
TEXT = "Ann Lee  is in Rome, now."


def table(*rows):
    return marked_entities.table(enumerate(rows, 1), HERE, "line")


@pytest.mark.parametrize(
    "row",
    [
        {"entities": [[0, 7, "PER"], [15, 19, "LOC"]]},
        {"entities": [[15, 19, "LOC"], [0, 7, "PER"]]},
        {"spans": [{"start": 0, "end": 7, "label": "PER"}, {"start": 15, "end": 19, "label": "LOC"}], "id": 3},
        {
            "entities": [
                {"id": 1, "start_offset": 0, "end_offset": 7, "label": "PER"},
                {"id": 2, "start_offset": 15, "end_offset": 19, "label": "LOC"},
            ],
            "relations": [],
        },
        {"label": [[0, 7, "PER"], [15, 19, "LOC"]]},
    ],
)
def test_places_become_labels_of_words(write, row):
    for name, content in (
        ("a.jsonl", json.dumps({"text": TEXT, **row})),
        ("a.json", json.dumps([{"text": TEXT, **row}])),
    ):
        read = entity_files.read(write(name, content)).parts["all"]
        assert read["words"].to_pylist() == [["Ann", "Lee", "is", "in", "Rome", ",", "now", "."]]
        assert read["labels"].to_pylist() == [["B-PER", "I-PER", "O", "O", "B-LOC", "O", "O", "O"]]
        assert read["_row"].to_pylist() == [1]


@st.composite
def marked(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, str]]]:
    """Return a text, and entities in it that neither overlap nor begin or end with white space."""
    text = draw(st.text(st.sampled_from("abé\u0301.,'( \t👩\u200d🚀-"), min_size=1, max_size=25))
    at, found = 0, []
    for _ in range(draw(st.integers(0, 4))):
        start = at + draw(st.integers(0, 4))
        end = start + draw(st.integers(1, 6))
        piece = text[start:end]
        if end > len(text) or piece != piece.strip():
            break
        found.append((start, end, draw(st.sampled_from("XY"))))
        at = end
    return text, found


@given(marked())
def test_no_entity_is_lost_or_changed(drawn):
    text, found = drawn
    read, _, _ = table({"text": text, "entities": [list(entity) for entity in found]})
    words, labels = read["words"][0].as_py(), read["labels"][0].as_py()
    assert "".join(words) == "".join(text.split())
    kept = [("".join(words[s.start : s.end]), s.type) for s in spans_of(labels)]
    assert kept == [("".join(text[start:end].split()), kind) for start, end, kind in found]


def test_words_are_cut_and_the_count_is_noted():
    read, _, notes = table(
        {"text": "superRome!", "entities": [[5, 9, "LOC"]]}, {"text": "a Rome b", "entities": [[1, 7, "X"]]}
    )
    assert read["words"].to_pylist() == [["super", "Rome", "!"], ["a", "Rome", "b"]]
    assert [note.split()[0] for note in notes] == ["1", "White"]
    assert "line 1" in notes[0]
    assert "line 2" in notes[1]


@pytest.mark.parametrize(
    ("entities", "identifier"),
    [
        ([[0, 7, "PER"], [4, 7, "PER"]], "data.overlapping-entities"),
        ([[0, 7, "PER"], [0, 7, "LOC"]], "data.overlapping-entities"),
        ([[0, 7, "PER"], [5, 11, "LOC"]], "data.overlapping-entities"),
        ([[0, 99, "PER"]], "data.malformed-entity"),
        ([[-1, 3, "PER"]], "data.malformed-entity"),
        ([[3, 3, "PER"]], "data.malformed-entity"),
        ([[7, 9, "PER"]], "data.malformed-entity"),  # white space
        ([["0", "3", "PER"]], "data.malformed-entity"),
        ([[0, 3]], "data.malformed-entity"),
        ([{"start": 0, "end": 3}], "data.malformed-entity"),
        ([[0, 3, ""]], "data.malformed-entity"),
    ],
)
def test_wrong_entities_are_refused_with_their_row(entities, identifier):
    with refused(DataError, identifier, "line 2"):
        table({"text": TEXT, "entities": []}, {"text": TEXT, "entities": entities})


def test_a_row_without_entities_is_named():
    with refused(DataError, "data.malformed-entity", "line 2"):
        table({"text": TEXT, "entities": []}, {"text": TEXT})


def test_docbin_needs_spacy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    (tmp_path / "train.spacy").write_bytes(b"0")
    with refused(ConfigError, "machine.package-missing", "spacy"):
        entity_files.read(tmp_path / "train.spacy")


def test_a_list_of_texts_with_their_annotations_is_read(tmp_path):
    rows = [["Ann is in Rome", {"entities": [[0, 3, "PER"], [10, 14, "LOC"]]}], ["nobody", {"entities": []}]]
    (tmp_path / "train.json").write_text(json.dumps(rows))
    found = entity_files.read(tmp_path / "train.json")
    assert found is not None
    (part,) = found.parts.values()
    assert part["words"].to_pylist() == [["Ann", "is", "in", "Rome"], ["nobody"]]
    assert part["labels"].to_pylist() == [["B-PER", "O", "O", "B-LOC"], ["O"]]
