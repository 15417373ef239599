"""Rows to label: chosen from a pool, written for a labelling tool, read back, and joined with the rows of the run."""

import csv
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import toolkit as api
from tests.support import checkpoints
from tests.support.cli import toolkit
from tests.support.errors import refused
from toolkit import runs
from toolkit.commands.select.join import join
from toolkit.errors import ConfigError, DataError
from toolkit.events import Note

QUICK = {"evaluation.resamples": 100, "evaluation.baselines": False}


def texts_of(file: Path) -> list[tuple[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["label"]) for row in csv.DictReader(stream)]


def write(file: Path, rows: list[tuple[str, ...]], names: tuple[str, ...]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([names, *rows])
    return file


@pytest.fixture(scope="module")
def place(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on 200 reviews, and a pool of 120 others, 20 of the run, a near-duplicate, a copy and an empty row."""
    cwd = tmp_path_factory.mktemp("select")
    everything = list(dict.fromkeys(texts_of(checkpoints.reviews(cwd / "all.csv", 420, seed=5))))
    write(cwd / "data.csv", everything[:200], ("text", "label"))
    others = everything[200:320]
    near = [(f"{everything[0][0]} Indeed", everything[0][1])]
    pool = [*everything[:20], *others, others[0], ("", "positive"), *near]
    write(cwd / "pool.csv", [(text,) for text, _ in pool], ("text",))
    write(cwd / "truth.csv", pool, ("text", "label"))
    settings = {**QUICK, "training.few_labels": "off", "training.seed": 3}
    options = {"model": "pkg://cognition/model", "epochs": 1, "set": settings, "progress": False}
    api.finetune("text", data=cwd / "data.csv", output=cwd / "run", **options)
    return cwd


@pytest.fixture(scope="module")
def answer(place: Path) -> dict:
    command = ("--pool", "pool.csv", "--rows", "20", "--output", "rows.csv", "--json")
    outcome = toolkit("select", "run", *command, cwd=place)
    assert outcome.code == 0, outcome.text
    return json.loads(outcome.out)["choice"]


def test_rows_of_the_run_are_left_out_and_counted(place: Path, answer: dict) -> None:
    pool = answer["pool"]
    assert (pool["rows"], pool["unreadable"], pool["known"], pool["repeated"]) == (143, 1, 20, 1)
    assert answer["candidates"] == 121 - pool["near_duplicates"]
    texts = {text for text, _ in texts_of(place / "data.csv")}
    assert not texts & {row["text"] for row in answer["rows"]}
    assert 143 not in [row["position"] for row in answer["rows"]] or not pool["near_duplicates"]


def test_table_has_an_empty_label_and_names_the_strategy(place: Path, answer: dict) -> None:
    with (place / "rows.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["label"] for row in rows] == [""] * 20
    assert answer["chosen"] == {"uncertainty-diverse": 18, "random": 2}
    assert [row["selected_by"] for row in rows] == [row["selected_by"] for row in answer["rows"]]
    pool = (place / "pool.csv").read_text(encoding="utf-8")
    of_pool = list(csv.DictReader(pool.splitlines()))
    assert [of_pool[int(row["position"]) - 1]["text"] for row in rows] == [row["text"] for row in rows]


def test_chosen_rows_are_less_certain_than_the_pool(place: Path, answer: dict) -> None:
    chosen = [row["uncertainty"] for row in answer["rows"] if row["selected_by"] != "random"]
    options = {"pool": place / "pool.csv", "no_curve": True, "rows": 200, "progress": False}
    every = api.select(place / "run", strategy="random", **options)
    assert np.mean(chosen) > np.mean([row["uncertainty"] for row in every.rows])


def test_learning_curve_has_gains_with_intervals(place: Path, answer: dict) -> None:
    curve = answer["curve"]
    assert curve["labelled"] == curve["measured_on"] > 100
    assert curve["decisive"]["labels"] == 100  # whatever --rows is
    assert [gain["labels"] for gain in curve["gains"]] == [20, 1000]
    for gain in (curve["decisive"], *curve["gains"]):
        assert 0 <= gain["low"] <= gain["high"]
    assert curve["advice"] in ("stop", "go on", "undecided")
    page = (place / "rows.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert 'class="curve"' in page


def test_written_labels_are_never_overwritten(place: Path, answer: dict) -> None:
    with refused(ConfigError, "output.exists"):
        api.select(place / "run", pool=place / "pool.csv", output=place / answer["files"][0], progress=False)


def test_pool_is_sampled_where_it_is_larger(place: Path) -> None:
    options = {"pool": place / "pool.csv", "rows": 5, "no_curve": True, "progress": False}
    first, again = (api.select(place / "run", pool_rows=50, **options) for _ in range(2))
    assert (first.facts["pool"]["rows"], first.facts["pool"]["read"]) == (143, 50)
    assert first.rows == again.rows


def test_label_studio_and_back(place: Path) -> None:
    options = {"pool": place / "truth.csv", "rows": 30, "no_curve": True, "progress": False}
    plain = api.select(place / "run", tool="label-studio", output=place / "tasks.json", **options)
    assert all("predictions" not in task for task in json.loads((place / "tasks.json").read_text(encoding="utf-8")))
    bias = {"with_suggestions": True, "output": place / "biased.json"}
    api.select(place / "run", tool="label-studio", **bias, **options)
    tasks = json.loads((place / "biased.json").read_text(encoding="utf-8"))
    config = ElementTree.parse(place / "tasks.xml").getroot()
    choices = config.find("Choices")
    assert choices is not None
    assert {choice.get("value") for choice in choices} == {"negative", "positive"}
    assert tasks[0]["predictions"][0]["result"][0]["from_name"] == choices.get("name")
    truth = dict(texts_of(place / "truth.csv"))
    for task in tasks:  # what Label Studio adds to a task
        value = {"choices": [truth[task["data"]["text"]]]}
        task["annotations"] = [
            {"result": [{"from_name": "label", "to_name": "text", "type": "choices", "value": value}]}
        ]
    (place / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    joined = api.select(place / "run", labelled=place / "export.json", output=place / "second", progress=False)
    assert (joined.facts["added"], joined.facts["known"]) == (30, 0)
    assert joined.facts["pool"]["rows"] == 3
    both = [
        (f"a {kind} nobody labelled before", label) for kind in ("song", "play") for label in ("positive", "negative")
    ]
    write(place / "both.csv", [*both, ("a clip nobody labelled before", "positive")], ("text", "label"))
    notes: list[str] = []
    watch = lambda event: notes.append(event.text) if isinstance(event, Note) else None  # noqa: E731
    join(str(place / "run"), str(place / "both.csv"), place / "both", {}, None, watch)
    assert any(note.startswith("4 rows of ") for note in notes)
    old, new = runs.Run(place / "run").facts["data"], None
    settings = {**QUICK, "training.few_labels": "off"}
    options = {"model": "pkg://cognition/model", "epochs": 1, "set": settings, "progress": False}
    new = api.finetune("text", data=joined.files[0], output=place / "next", **options)
    splits = {part["name"]: part["rows"] for part in new.report["data"]["splits"]}
    assert splits == {p["name"]: p["rows"] + (30 if p["name"] == "train" else 0) for p in old["splits"]}
    test = runs.read_table(place / "next" / "data" / "test.parquet")["text"].to_pylist()
    assert test == runs.read_table(place / "run" / "data" / "test.parquet")["text"].to_pylist()
    assert any("uncertainty-diverse" in note for note in new.report["data"]["notes"])
    assert len(plain.rows) == 30


def test_test_rows_of_a_selection_are_reported(place: Path) -> None:
    rows = [(*row, "uncertainty") for row in texts_of(place / "truth.csv")[20:140]]
    write(place / "chosen.csv", rows, ("text", "label", "selected_by"))
    evaluation = api.evaluate(place / "run", data=place / "chosen.csv", output=place / "e", set=QUICK, progress=False)
    assert any("selected_by" in warning for warning in evaluation.report["verdict"]["warnings"])


def test_argilla_records(place: Path) -> None:
    options = {"pool": place / "pool.csv", "rows": 10, "no_curve": True, "with_suggestions": True, "progress": False}
    api.select(place / "run", tool="argilla", output=place / "records.json", **options)
    (record, *_) = json.loads((place / "records.json").read_text(encoding="utf-8"))
    assert record["fields"].keys() == {"text"}
    assert record["suggestions"]["label"]["value"] in ("negative", "positive")


def test_changed_data_give_no_curve_and_no_join(place: Path) -> None:
    kept = (place / "data.csv").read_text(encoding="utf-8")
    try:
        (place / "data.csv").write_text("\n".join(kept.splitlines()[:150]), encoding="utf-8")
        answer = api.select(place / "run", pool=place / "pool.csv", rows=5, progress=False)
        assert answer.curve is None
        assert "data.csv" in answer.facts["curve_missing"]
        with refused(DataError, "run.data-changed"):
            api.select(place / "run", labelled=place / "truth.csv", output=place / "third", progress=False)
    finally:
        (place / "data.csv").write_text(kept, encoding="utf-8")


def test_model_without_its_run(place: Path) -> None:
    shutil.copytree(place / "run" / "model", place / "alone")
    answer = api.select(place / "alone", pool=place / "pool.csv", rows=5, progress=False)
    assert (answer.curve, answer.facts["pool"]["known"]) == (None, 0)


@pytest.mark.parametrize(
    ("options", "identifier"),
    [
        ({}, "config.nothing-given"),
        ({"pool": "pool.csv", "labelled": "rows.csv"}, "config.conflict"),
        ({"pool": "pool.csv", "strategy": "best"}, "config.unknown-choice"),
        ({"pool": "pool.csv", "rows": 0}, "config.out-of-range"),
        ({"pool": "pool.csv", "random_share": 2.0}, "config.out-of-range"),
        ({"pool": "data.csv"}, "select.nothing-left"),
    ],
)
def test_wrong_calls_are_refused(place: Path, options: dict, identifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    with refused((ConfigError, DataError), identifier):
        api.select("run", **options, progress=False)
