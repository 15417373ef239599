"""Counts while a file is predicted, and the columns that are used."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.errors import refused
from toolkit.commands.predict.identity import content
from toolkit.commands.predict.input_rows import assign_columns, without_taken_columns
from toolkit.commands.predict.inputs import _refuse_tables, examples
from toolkit.commands.predict.outcome import PredictionCounts
from toolkit.commands.predict.output_formats import writer
from toolkit.commands.predict.predictor import Predictor
from toolkit.data.sources.row_formats import Row
from toolkit.errors import ConfigError, DataError, RecipeError
from toolkit.tasks import loading
from toolkit.tasks.inputs import image as image_input
from toolkit.tasks.inputs import text as text_input
from toolkit.tasks.inputs.words import WORDS
from toolkit.tasks.task import Column, Reading


def test_texts_that_kept_their_placeholders_are_counted():
    counts = PredictionCounts("text")
    rows = [("plain", "schlicht"), ("%s files", "%s Dateien"), ("<b>now</b>", "jetzt"), ("{0}", None), (None, None)]
    counts.add([{"text": text, "prediction": outcome, "problem": outcome and None} for text, outcome in rows])
    result = counts.outcome(None)
    assert (result.rows, result.marked, result.kept) == (5, 2, 1)


def test_placeholders_are_counted_only_for_texts():
    counts = PredictionCounts()
    counts.add([{"text": "%s", "prediction": "positive", "problem": None}])
    assert counts.outcome(None).marked is None


def test_a_catalogue_that_is_to_become_lines_is_remarked_on():
    notes = []
    for source, output in (("in.po", "out.txt"), ("in.po", "out.po"), ("in.txt", "out.txt")):
        assert writer(loading.load("translation"), {}, source, Path(output), notes.append) is not None
    (note,) = notes
    assert note.text.startswith("out.txt will contain one translation per line")


TEXT = [Column("text", ("text",), text_input.TEXT)]
IMAGE = [Column("image", ("image", "file"), image_input.IMAGE)]


def test_pictures_for_a_model_of_texts_and_texts_for_one_of_pictures(tmp_path):
    with refused(DataError, "data.wrong-kind", str(tmp_path), "texts"):
        assign_columns(str(tmp_path), [Row({"file": "a.png"})], TEXT, {})
    for source in ("-", "notes.txt"):
        with refused(DataError, "data.wrong-kind", source, "pictures"):
            assign_columns(source, [Row({"text": "a film"})], IMAGE, {})
    assert assign_columns("names.txt", [Row({"text": "a.png"})], IMAGE, {"image": "text"}) == {"image": "text"}
    with refused(DataError, "data.column-unrecognized", "`words`, `more`", "--text-column"):
        assign_columns("table.csv", [Row({"words": 1, "more": 2})], TEXT, {})


def test_a_column_that_is_named_now_must_be_there_and_one_of_training_need_not():
    first = [Row({"text": "a film", "other": "b"})]
    assert assign_columns("a.csv", first, TEXT, {"text": "review"}) == {"text": "text"}
    now = {"data": {"columns": {"text": "reveiw"}}}
    with refused(DataError, "data.column-missing", "`reveiw`", "`other`"):
        assign_columns("a.csv", first, TEXT, {"text": "reveiw"}, now)


@pytest.mark.parametrize("name", ["prediction", "problem", "score: good"])
def test_reserved_column_is_rejected_anywhere(name):
    rows = [Row({"text": "a film"}), Row({"text": "a film", name: "mine"})]
    assert without_taken_columns(rows[:1]) == rows[:1]
    with refused(DataError, "data.column-taken", f"`{name}`"):
        without_taken_columns(rows)


def test_a_line_that_is_no_row_brings_no_column():
    first = [Row({"unread": "{"}, "not JSON"), Row({"text": "a film"})]
    assert assign_columns("table.jsonl", first, TEXT, {}) == {"text": "text"}
    assert assign_columns("table.jsonl", [Row({"unread": "a film"})], TEXT, {"text": "unread"}) == {"text": "unread"}


def test_content_decides_and_not_size_or_time(tmp_path):
    file = tmp_path / "in.txt"
    file.write_bytes(b"one two")
    before, when = content(file), file.stat().st_mtime
    file.write_bytes(b"two one")
    os.utime(file, (when, when))
    assert content(file) != before
    file.write_bytes(b"one two")
    assert content(file) == before


def test_content_of_a_folder_and_of_named_files(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "gone.png").symlink_to(tmp_path / "nowhere")  # no fault
    (folder / "here.png").write_bytes(b"123")
    before = content(folder)
    (folder / "here.png").write_bytes(b"321")
    other = content(folder)
    (folder / "here.png").rename(folder / "there.png")
    (tmp_path / "table.csv").write_text("file\nphotos/there.png\n")
    named = content(tmp_path / "table.csv", [folder / "there.png"])
    assert len({before, other, content(folder), named, content(tmp_path / "table.csv")}) == 5


def test_truncated_rows_are_reported():
    counts, result = PredictionCounts(), []
    counts.remark(200, result.append)
    counts.add_cut(2)
    counts.remark(200, result.append)
    (note,) = result
    assert note.text.startswith("2 rows were truncated to 200 tokens")
    of_pairs: list = []
    pairs = PredictionCounts()
    pairs.add_cut(2, (1, 2))
    pairs.add_cut(3, (0, 3))
    pairs.remark(200, of_pairs.append)
    assert of_pairs[0].text.startswith("5 rows")
    assert "first text in 1, the second in 5" in of_pairs[0].text


def test_values_after_one_another_make_the_examples_that_a_model_needs():
    one, either = TEXT, (*TEXT, Column("text_pair", ("text_pair",), text_input.TEXT, required=False))
    both = (*TEXT, replace(either[1], required=True))
    assert examples(["a", "b"], one) == [("a",), ("b",)]
    assert examples(["a", "b"], either) == [("a",), ("b",)]  # the second text may be missing
    assert examples(["a", "b", "c", "d"], both) == [("a", "b"), ("c", "d")]
    assert examples([("a", "b")], either) == examples([("a", "b")], both) == [("a", "b")]
    for given, columns in ((["a", "b", "c"], both), ([("a",)], both), ([("a", "b")], one)):
        with refused(ConfigError, "data.column-missing", "text"):
            examples(given, columns)


def test_word_lists_in_cells_are_read_as_words():
    given = ["['Ada', 'left']", "[laughs] Ada left", ["Ada"], "['Ada' ... 'left']", "[]", " "]
    values = WORDS.read(given, "words", Reading(None, 1))
    assert values.column.to_pylist() == [["Ada", "left"], ["[laughs]", "Ada", "left"], ["Ada"], None, None, None]
    assert "truncated" in str(values.problems[3])
    assert [problem is None for problem in values.problems] == [True] * 3 + [False] * 3


def test_a_folder_of_several_tables_is_answered_with_their_names(tmp_path):
    for name in ("test.csv", "train.csv"):
        (tmp_path / name).write_text("text\na film\n", encoding="utf-8")
    with refused(DataError, "source.ambiguous", "2 files", "test.csv, train.csv"):
        assign_columns(str(tmp_path), [Row({"file": "test.csv"})], TEXT, {})


def test_the_name_of_a_table_is_not_read_as_a_text(tmp_path):
    table = tmp_path / "films.csv"
    table.write_text("text\na film\n", encoding="utf-8")
    _refuse_tables(["a film", "gone.csv", "a" * 5000 + ".csv", str(tmp_path)])
    with refused(ConfigError, "config.file-as-text", "films.csv", "--input"):
        _refuse_tables(["a film", str(table)])


def test_a_target_whose_empty_row_lacks_a_column_is_refused():
    recipe = loading.load("sentiment")
    target = replace(recipe.target, empty=lambda _how: {"prediction": None})
    columns = tuple(replace(c, kind=target) if c.kind is recipe.target else c for c in recipe.columns)
    stored = SimpleNamespace(
        recipe=replace(recipe, columns=columns),
        labels=("no", "yes"),
        calibration={},
        config=SimpleNamespace(recipe="own.py"),
    )
    predictor = Predictor(stored, recipe.task.inputs, {"text": "text"}, None, all_scores=False)
    predictor._check_columns({"prediction": "no"})
    with refused(RecipeError, "recipe.answer-columns", "`score`"):
        predictor._check_columns({"prediction": "no", "score": 0.5})
