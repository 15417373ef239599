"""Rows of a pool: a sample in one pass, and files of chosen rows in which text stays text."""

import csv
import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.support.errors import refused
from toolkit.commands.predict.input_rows import sampled
from toolkit.commands.select import files
from toolkit.commands.select.files import Batch
from toolkit.data.sources.row_formats import Row
from toolkit.errors import ConfigError
from toolkit.report.pages import selection
from toolkit.tasks import loading

HOSTILE = "<script>alert(\"1\")</script> & 'a', b\nc"


def stream(rows):
    return (Row({"text": str(number)}) for number in range(rows))


def test_small_pool_is_taken_whole_in_its_order():
    rows, total = sampled(stream(5), 10, 0)
    assert ([position for position, _ in rows], total) == ([1, 2, 3, 4, 5], 5)


def test_every_row_of_a_large_pool_has_the_same_chance():
    counts = np.zeros(40)
    for seed in range(1000):
        rows, total = sampled(stream(40), 10, seed)
        assert (len(rows), total) == (10, 40)
        assert all(row.values["text"] == str(position - 1) for position, row in rows)
        counts[[position - 1 for position, _ in rows]] += 1
    assert counts == pytest.approx(np.full(40, 250), abs=70)  # five standard errors


def batch(target=None):
    recipe = loading.load("text")
    recipe = recipe.for_target(target) if target else recipe
    row = {"position": 3, "text": HOSTILE, "prediction": "a&<b>", "score": 0.5, "uncertainty": 1.0}
    rows = [{**row, "selected_by": "random"}]
    return Batch(rows, {recipe.task.inputs[0].role: "text"}, "label", recipe.task, ["a&<b>", "c"], "m", None)


@pytest.mark.parametrize(("target", "choice"), [("class", "single"), ("classes", "multiple"), ("stars", "single")])
def test_labelling_config_is_xml_with_the_classes(target, choice):
    root = ElementTree.fromstring(files.labelling_config(batch(target)))
    choices = root.find("Choices")
    assert choices is not None
    assert (choices.get("choice"), choices.get("toName")) == (choice, "text")
    assert [item.get("value") for item in choices] == ["a&<b>", "c"]


def test_numbers_are_typed_in():
    root = ElementTree.fromstring(files.labelling_config(replace(batch("number"), labels=[])))
    assert root.find("Number") is not None
    assert root.find("Choices") is None


def test_text_survives_every_format(tmp_path):
    files.write(batch(), tmp_path / "rows.csv", files.CSV, suggestions=False)
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as table:
        assert next(csv.DictReader(table))["text"] == HOSTILE
    files.write(batch(), tmp_path / "tasks.json", files.LABEL_STUDIO, suggestions=True)
    (task,) = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    assert task["data"]["text"] == HOSTILE
    assert task["predictions"][0]["result"][0]["value"] == {"choices": ["a&<b>"]}
    files.write(batch(), tmp_path / "records.json", files.ARGILLA, suggestions=False)
    (record,) = json.loads((tmp_path / "records.json").read_text(encoding="utf-8"))
    assert (record["fields"]["text"], record["suggestions"]) == (HOSTILE, {})


def test_existing_or_misnamed_output_is_refused(tmp_path):
    with refused(ConfigError, "output.unknown-format"):
        files.check_output(tmp_path / "rows.csv", files.ARGILLA)
    (tmp_path / "rows.xml").write_text("", encoding="utf-8")
    with refused(ConfigError, "output.exists", "rows.xml"):
        files.check_output(tmp_path / "rows.json", files.LABEL_STUDIO)


def answer(curve=None):
    return {
        "version": "1",
        "model": HOSTILE,
        "source": HOSTILE,
        "strategy": "diverse",
        "reason": HOSTILE,
        "pool": {"rows": 9},
        "candidates": 9,
        "chosen": {"diverse": 1},
        "curve": curve,
        "curve_missing": HOSTILE,
        "rows": batch().rows,
    }


def test_page_escapes_text_of_the_data():
    page = selection.to_html(answer(), ["text"])
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("advice", ["stop", "go on", "undecided"])
def test_page_draws_the_curve(advice):
    gain = {"labels": 100, "value": 0.01, "low": 0.0, "high": 0.02}
    points = [{"rows": rows, "error": 0.4, "fitted": 0.4} for rows in (10, 20, 40)]
    facts = {"points": points, "law": {"a": 0.1, "b": 1.0, "c": 0.5}, "now": gain, "decisive": gain, "gains": [gain]}
    facts |= {"error": "error rate", "labelled": 50, "confidence": 0.95, "threshold": 0.005, "advice": advice}
    facts |= {"folds": 5, "draws": 4, "measured_on": 50}
    assert 'class="curve"' in selection.to_html(answer(facts), ["text"])
    assert selection.advice(answer(facts))[0] != selection.advice(answer())[0]
