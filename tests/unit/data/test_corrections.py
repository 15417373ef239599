"""Corrections of training rows: reading, writing, and applying them after the division."""

from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.config.settings import DataConfig
from toolkit.data import corrections
from toolkit.data.corrections import Correction
from toolkit.data.load import load_splits
from toolkit.errors import ConfigError, DataError, SourceError
from toolkit.tasks.contract import Recipe
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.targets.generated_text import GENERATED_TEXT
from toolkit.tasks.targets.multi_label import MULTI_LABEL
from toolkit.tasks.targets.number import NUMBER
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.targets.token_labels import TOKEN_LABELS
from toolkit.tasks.task import Column

LABEL = Column("label", ("label",), SINGLE_LABEL)
CLASSES = ("good", "bad", "=odd")
HEAD = "file,row,decision,new_label\n"


def test_corrections_are_written_and_read_again(tmp_path: Path) -> None:
    made = {("a.csv", 3): Correction(0), ("a.csv", 9): Correction(0, 2), ("@b.csv", 1): Correction(0, 0)}
    text = corrections.text_of(made, LABEL, CLASSES)
    (tmp_path / "c.csv").write_bytes(text.encode())
    again = corrections.read(tmp_path / "c.csv", LABEL, CLASSES)
    assert {place: correction.value for place, correction in again.items()} == {
        place: correction.value for place, correction in made.items()
    }


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@a", "\ta", "'=a", "a", "'a", "-1.5", "1e9", ""])
def test_cells_are_no_formulas_and_are_read_unchanged(text: str) -> None:
    cell = corrections.safe(text)
    assert corrections.plain(cell) == text
    assert cell[:1] not in tuple("=+@\t\r")
    assert (cell == text) == (text in ("a", "'a", "-1.5", "1e9", ""))


@pytest.mark.parametrize(
    ("target", "classes", "value"),
    [
        (SINGLE_LABEL, CLASSES, 1),
        (MULTI_LABEL, CLASSES, [0, 2]),
        (MULTI_LABEL, CLASSES, []),
        (MULTI_LABEL, ("a|b", "[c"), [0, 1]),
        (NUMBER, (), -0.1234567),
        (TOKEN_LABELS, ("O", "B-X"), [0, 1, 0]),
    ],
)
def test_cell_of_each_kind_is_its_value(target: object, classes: tuple[str, ...], value: object) -> None:
    column = Column("label", ("label",), target)
    assert column.kind.of_cell(corrections.cell(column, value, classes), classes) == value


@pytest.mark.parametrize(
    ("line", "identifier", "fact"),
    [
        ("a.csv,2,delete,", "repair.unknown-decision", "delete"),
        ("a.csv,two,drop,", "repair.unknown-row", "two"),
        ("a.csv,2,relabel,goood", "repair.unknown-label", "`good`"),
        ("a.csv,2,relabel,", "repair.unknown-label", "line 2"),
        ("a.csv,2,drop,\na.csv,2,drop,", "repair.decided-twice", "line 3"),
        ("a.csv,2,keep,\na.csv,2,drop,", "repair.decided-twice", "line 3"),
        ("a.csv,2,keep,good", "repair.decided-twice", "`good`"),
    ],
)
def test_wrong_lines_are_refused(write: Callable[..., Path], line: str, identifier: str, fact: str) -> None:
    with pytest.raises(DataError) as caught:
        corrections.read(write("c.csv", f"{HEAD}{line}\n"), LABEL, CLASSES)
    assert caught.value.id == identifier
    assert fact in caught.value.problem


def test_unreadable_files_and_tasks_without_labels_are_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(SourceError) as missing:
        corrections.read(tmp_path / "none.csv", LABEL, CLASSES)
    with pytest.raises(DataError) as other:
        corrections.read(write("c.csv", "text,label\na,b\n"), LABEL, CLASSES)
    assert missing.value.id == other.value.id == "repair.decisions-unreadable"
    with pytest.raises(ConfigError) as written:
        corrections.read(write("c.csv", HEAD), Column("target", ("target",), GENERATED_TEXT), ())
    assert written.value.id == "repair.not-for-task"
    assert corrections.read(write("c.csv", f"{HEAD}a.csv,2,,\na.csv,3,Keep,\n,,,\n"), LABEL, CLASSES) == {}
    assert TEXT.name == "text"


def test_a_new_label_alone_relabels(write: Callable[..., Path]) -> None:
    read = corrections.read(write("c.csv", f"{HEAD}a.csv,2,,bad\n"), LABEL, CLASSES)
    assert {place: correction.value for place, correction in read.items()} == {("a.csv", 2): 1}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_suggestion_is_the_label_of_a_row_without_one(write: Callable[..., Path], delimiter: str) -> None:
    lines = ["file,row,suggestion,decision,new_label", "a.csv,2,bad,relabel,", "a.csv,3.0,bad,RELABEL,'=odd"]
    file = write("c.csv", "\ufeff" + "\n".join(lines).replace(",", delimiter))
    read = corrections.read(file, LABEL, CLASSES)
    assert {place: correction.value for place, correction in read.items()} == {("a.csv", 2): 1, ("a.csv", 3): 2}


def test_only_training_rows_are_corrected(write: Callable[..., Path], sentiment: Recipe) -> None:
    lines = [f"text number {row},{'positive' if row % 2 else 'negative'}" for row in range(80)]
    source = str(write("reviews.csv", "\n".join(["text,label", *lines, ""])))
    before = load_splits(sentiment, DataConfig(source=source), 0)
    rows = before.train["_row"].to_pylist()
    held = before.test["_row"][0].as_py()
    names = [before.labels[number] for number in before.train["label"].to_pylist()]
    other = {"positive": "negative", "negative": "positive"}[names[1]]
    content = f"{HEAD}reviews.csv,{rows[0]},drop,\nreviews.csv,{rows[1]},relabel,{other}\nreviews.csv,{held},drop,\n"
    file = write("c.csv", content)
    after = load_splits(sentiment, DataConfig(source=source, corrections=str(file)), 0)
    assert (after.validation, after.test) == (before.validation, before.test)
    assert after.train["_row"].to_pylist() == rows[1:]
    changed = [after.labels[number] for number in after.train["label"].to_pylist()]
    assert changed == [other, *names[2:]]
    counts = after.facts["counts"]
    assert (counts["corrected_dropped"], counts["corrected_relabelled"]) == (1, 1)
    assert after.facts["fingerprint"] != before.facts["fingerprint"]
    assert after.facts["splits"][0]["rows"] == len(rows) - 1


def test_dropping_a_class_is_refused(write: Callable[..., Path], sentiment: Recipe) -> None:
    lines = [f"text number {row},{'positive' if row % 2 else 'negative'}" for row in range(40)]
    source = str(write("reviews.csv", "\n".join(["text,label", *lines, ""])))
    train = load_splits(sentiment, DataConfig(source=source), 0).train
    rows = [row["_row"] for row in train.to_pylist() if row["label"] == 1]
    file = write("c.csv", HEAD + "".join(f"reviews.csv,{row},drop,\n" for row in rows))
    with pytest.raises(DataError) as caught:
        load_splits(sentiment, DataConfig(source=source, corrections=str(file)), 0)
    assert caught.value.id == "label.one-class"
