"""The input of words and the target of their labels: places of entities, and schemes of labels."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.config.settings import DataConfig
from toolkit.data.tables.word_splitting import USUAL
from toolkit.tasks.inputs.words import WORDS
from toolkit.tasks.targets.token_labels import TOKEN_LABELS
from toolkit.tasks.task import AnswerFormat, Column, Reading

NAMES = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
TEXTS = st.text(st.sampled_from("aé\u0301'’., \t\n()👩\u200d🚀\u200b"), min_size=1, max_size=30)
VALUES = TEXTS | st.lists(TEXTS, min_size=1, max_size=6)


@given(VALUES, st.randoms(use_true_random=False))
def test_places_of_entities_are_those_of_the_text(value, random):
    values = WORDS.read([value], "words", Reading(None, 0, USUAL.as_dict()))
    words = values.column[0].as_py()
    if values.problems[0] is not None:
        assert words is None
        return
    labels = [random.randrange(5) for _ in words]
    scores = [[0.2] * 5] * len(words)
    answer = TOKEN_LABELS.answer(labels, scores, None, AnswerFormat(NAMES, False, False, values.located[0]))
    assert answer["prediction"] == [NAMES[number] for number in labels]
    text = value if isinstance(value, str) else " ".join(value)
    begun = [entity["start"] for entity in answer["entities"]]
    assert begun == sorted(begun)
    for entity in answer["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert entity["score"] == 0.2
    covered = "".join("".join(entity["text"].split()) for entity in answer["entities"])
    inside = "".join("".join(word.split()) for word, number in zip(words, labels, strict=True) if number != 4)
    assert covered == inside


def checked(*rows):
    """Return the labels after the check, and its notes."""
    positions = {"_file": ["a.conll"] * len(rows), "_row": [7 * number for number in range(len(rows))]}
    table = pa.table({"labels": pa.array(rows, pa.list_(pa.string())), **positions})
    column = Column("labels", ("labels",), TOKEN_LABELS)
    result = TOKEN_LABELS.check({"train": table}, column, DataConfig(source="a.conll"))
    return result.parts["train"]["labels"].to_pylist(), list(result.notes)


def test_labels_are_rewritten_and_counted():
    rows, notes = checked(["B-PER", "O"], ["I-PER", "I-PER", "B-PER"], ["O", "I-LOC"])
    assert rows == [["B-PER", "O"], ["B-PER", "I-PER", "B-PER"], ["O", "B-LOC"]]
    (note,) = notes
    assert note.startswith("2 ")
    assert "a.conll, row 7" in note


@pytest.mark.parametrize(("scheme", "last", "single"), [("BIOES", "E", "S"), ("BILOU", "L", "U")])
def test_marked_ends_are_counted(scheme, last, single):
    rows, notes = checked([f"{single}-PER", "O", "B-LOC", "I-LOC", f"{last}-LOC"])
    assert rows == [["B-PER", "O", "B-LOC", "I-LOC", "I-LOC"]]
    assert scheme in notes[0]
    assert f"1 {last}-" in notes[0]
    assert f"1 {single}-" in notes[0]


@pytest.mark.parametrize(
    "labels", [["I-PER", "I-PER", "O"], ["NOUN", "VERB", "I-X"], ["0", "1", "2"], ["B-A", "I-A", "O"]]
)
def test_other_labels_stay_as_they_are(labels):
    rows, notes = checked(labels)
    assert rows == [labels]
    assert notes == []


def test_a_line_names_the_entities():
    located = ("Ann in Rome", [(0, 3), (4, 6), (7, 11)])
    answer = TOKEN_LABELS.answer([1, 4, 0], [[0.9] * 5] * 3, [[0.8] * 5] * 3, AnswerFormat(NAMES, True, False, located))
    assert TOKEN_LABELS.line("Ann in Rome", answer) == "PER “Ann” 80.0 %, LOC “Rome” 80.0 %  Ann in Rome"
    assert answer["entities"][0] == {
        "start": 0, "end": 3, "text": "Ann", "type": "PER", "score": 0.9, "calibrated_score": 0.8,
    }  # fmt: skip
