"""Inputs of `explain`: files of texts, names of methods."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import toolkit
from tests.support import models
from tests.support.errors import refused
from toolkit.commands.explain import request, text
from toolkit.commands.explain.inputs import read_texts
from toolkit.commands.explain.request import Budget, ExplanationRequest
from toolkit.commands.explain.run import explain
from toolkit.config import RunConfig
from toolkit.config.settings import DataConfig
from toolkit.errors import ConfigError, DataError, ModelError, SourceError
from toolkit.inference.model import LoadedModel
from toolkit.tasks import loading


@dataclass
class RecipeAndConfig:
    """The part of the inputs that reading texts needs."""

    recipe: Any
    config: RunConfig


@pytest.fixture
def subject(sentiment):
    return RecipeAndConfig(sentiment, RunConfig(recipe="sentiment"))


def test_texts_are_lines_or_columns(subject, write):
    assert read_texts(write("a.txt", "one\n\n  two \n"), subject) == [("one",), ("two",)]
    assert read_texts(write("b.csv", "id,review\n1,good film\n2,\n3,bad\n"), subject) == [("good film",), ("bad",)]
    pairs = write("c.csv", "sentence1,sentence2\na cat,a mat\n")
    assert read_texts(pairs, subject) == [("a cat", "a mat")]


def test_a_file_is_read_as_evaluate_reads_data(sentiment, write, tmp_path):
    def subject(**data):
        return RecipeAndConfig(sentiment, RunConfig(recipe="sentiment", data=DataConfig(**data)))

    semicolons = tmp_path / "a.csv"
    semicolons.write_text("1;schön\n2;übel\n", encoding="cp1252")
    written = subject(encoding="cp1252", delimiter=";", column_names=["n", "text"])
    assert read_texts(semicolons, written) == [("schön",), ("übel",)]
    lines = tmp_path / "a.txt"
    lines.write_text("schön\n", encoding="cp1252")
    assert read_texts(lines, subject(encoding="cp1252")) == [("schön",)]
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Two")
    sheet.append(["text"])
    sheet.append(["second"])
    book.save(tmp_path / "b.xlsx")
    assert read_texts(tmp_path / "b.xlsx", subject(sheet="Two")) == [("second",)]
    with contextlib.closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        connection.executescript("CREATE TABLE a (text); CREATE TABLE b (text); INSERT INTO b VALUES ('of b')")
    assert read_texts(tmp_path / "c.db", subject(query="SELECT text FROM b")) == [("of b",)]
    nested = write("d.jsonl", '{"review": {"body": "inner"}}\n')
    assert read_texts(nested, subject(columns={"text": "review.body"})) == [("inner",)]


def test_words_of_a_conll_file_are_explained(write):
    words = RecipeAndConfig(loading.load("tokens"), RunConfig(recipe="tokens"))
    assert read_texts(write("a.conll", "Peter B-PER\nslept O\n"), words) == [("Peter slept",)]


def test_files_without_texts(subject, write):
    with refused(SourceError, "source.file-missing", "nowhere.txt"):
        read_texts(Path("nowhere.txt"), subject)
    with refused(DataError, "data.no-rows", "a.txt", "text"):
        read_texts(write("a.txt", "\n \n"), subject)
    with refused(DataError, "data.column-unrecognized", "`id`, `size`", "--text-column"):
        read_texts(write("a.csv", "id,size\n1,2\n"), subject)


def test_a_text_without_words_is_named(sentiment):
    loaded = LoadedModel(
        models.make("bert")[0], models.tokenizer(), sentiment, ["bad", "good"], RunConfig(recipe="sentiment")
    )
    with refused(DataError, "data.empty-text", "Text 2"):
        text.examples_of(text.model_for(loaded), loaded, [("good",), (" ",), ("bad",)])


def test_an_empty_text_is_refused_before_anything_is_looked_up():
    for texts in ("", ["good", " "]):
        with refused(DataError, "data.empty-text"):
            toolkit.explain("nowhere", texts, progress=False)


def test_texts_of_words_are_joined(tokens, write):
    words = RecipeAndConfig(tokens, RunConfig(recipe="tokens"))
    assert read_texts(write("a.jsonl", '{"tokens": ["a", "b"]}\n{"tokens": []}\n'), words) == [("a b",)]


def test_a_recipe_that_generates_texts_is_refused(write):
    generates = RecipeAndConfig(loading.load("translation"), RunConfig(recipe="translation"))
    with refused(ModelError, "model.wrong-input", "translation"):
        read_texts(write("a.csv", "source,target\na,b\n"), generates)


def test_methods_are_checked_before_anything_is_loaded(monkeypatch):
    with refused(ConfigError, "config.unknown-choice", "`magic`", "leave-one-out"):
        explain(None, ExplanationRequest([("a",)], ("magic",)), None, "", print)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refused(ConfigError, "machine.package-missing", "captum"):
        explain(None, ExplanationRequest([("a",)], ("integrated-gradients",)), None, "", print)


def test_time_is_shared_out(monkeypatch):
    now = [50.0]
    monkeypatch.setattr(request.time, "monotonic", lambda: now[0])
    whole = Budget.of(2)
    half = whole.part(0.5)
    now[0] += 59
    assert not half.spent()
    now[0] += 1
    assert half.spent()
    assert not whole.spent()
    now[0] += 90
    assert whole.spent()
    assert whole.part(0.5).spent()
    assert not Budget.of(None).part(0.5).spent()
