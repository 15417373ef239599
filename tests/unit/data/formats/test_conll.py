"""CoNLL files."""

import pytest

from tests.support.errors import refused
from toolkit.data.formats import conll
from toolkit.data.sources import entity_files
from toolkit.errors import DataError

WORDS = [["Ann", "went", "to", "New", "York"], ["#", "1"]]
LABELS = [["B-PER", "O", "O", "B-LOC", "I-LOC"], ["O", "O"]]
TABS = "Ann\tB-PER\nwent\tO\nto\tO\nNew\tB-LOC\nYork\tI-LOC\n\n#\tO\n1\tO\n"
COLUMNS = (
    "-DOCSTART- -X- O\n\n# id = 1\nAnn NNP B-PER\nwent VBD O\nto TO O\nNew NNP B-LOC\nYork NNP I-LOC\n \t\n"
    "-DOCSTART- -X- O\n# id = 2\n# NN O\n1 CD O\n"
)


@pytest.mark.parametrize(
    ("name", "content", "starts"),
    [
        ("a.conll", TABS, [1, 7]),
        ("a.txt", TABS.replace("\n", "\r\n"), [1, 7]),
        ("a.tsv", "\ufeff" + TABS, [1, 7]),
        ("test.annotated", TABS.replace("\n\n", "\n\t\n"), [1, 7]),
        ("a.conll", COLUMNS, [4, 12]),
        ("a.iob", COLUMNS.replace(" NNP ", " ").replace(" VBD ", " ").replace(" TO ", " ").replace(" NN O", " O")
         .replace(" CD ", " "), [4, 12]),
    ],
)  # fmt: skip
def test_sentences_are_read(write, name, content, starts):
    tables = entity_files.read(write(name, content))
    table = tables.parts["all"]
    assert table["words"].to_pylist() == WORDS
    assert table["labels"].to_pylist() == LABELS
    assert table["_row"].to_pylist() == starts
    assert set(table["_file"].to_pylist()) == {name}


def test_empty_words_between_tabs_keep_their_label(write):
    table, _ = conll.read(write("a.conll", "a\tO\n\tO\nb\tB-X\n"), None)
    assert table["words"].to_pylist() == [["a", "", "b"]]


def test_labels_are_in_the_last_column_of_the_scheme(write):
    table, _ = conll.read(write("a.conll", "Ann B-PER 0.9\nran O 0.8\n"), None)
    assert table["labels"].to_pylist() == [["B-PER", "O"]]
    other, _ = conll.read(write("b.conll", "Ann NNP\nran VBD\n"), None)
    assert other["labels"].to_pylist() == [["NNP", "VBD"]]


def test_a_line_with_other_columns_is_named(write):
    file = write("a.conll", "Ann\tB-PER\n\nran\tfast\tO\n")
    with refused(DataError, "data.wrong-row-width", "a.conll:3", "3 columns"):
        conll.read(file, None)
    with refused(DataError, "label.missing", "b.conll:1"):
        conll.read(write("b.conll", "Ann\nran\n"), None)
    with refused(DataError, "data.no-rows", "c.conll"):
        conll.read(write("c.conll", "\n-DOCSTART- O\n\n"), None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "A text.\nAnother one.\n"),
        ("a.tsv", "text\tlabel\ngood\tO\n"),
        ("a.txt", "good film\tpositive\nbad film\tnegative\n"),
        ("a.csv", "tokens,ner_tags\na,O\n"),
        ("a.jsonl", '{"tokens": ["a"], "ner_tags": ["O"]}\n'),
    ],
)
def test_other_tables_are_left_to_others(write, name, content):
    assert entity_files.read(write(name, content)) is None


def test_parts_of_a_folder(write, tmp_path):
    write("train.conll", TABS)
    write("dev.conll", TABS)
    assert set(entity_files.read(tmp_path).parts) == {"train", "validation"}
    write("test.csv", "tokens,ner_tags\na,O\n")
    with refused(DataError, "data.mixed-formats", "test.csv"):
        entity_files.read(tmp_path)


def test_labels_before_words_are_refused(tmp_path):
    (tmp_path / "a.conll").write_text("B-PER Peter\nO slept\n")
    with refused(DataError, "data.columns-swapped", "a.conll:1"):
        conll.read(tmp_path / "a.conll", None)
