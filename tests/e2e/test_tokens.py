"""Labels of words through the command line: from CoNLL to a report, predictions, explanations and an export."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import checkpoints
from tests.support.cli import several
from tests.support.dossiers import documented
from tests.support.hub import LocalHub
from tests.support.service import post, serving

PEOPLE, PLACES = ("Anna Smith", "Tom Baker", "Olga"), ("Paris", "New York", "Lima")
TEXTS = (
    "Anna Smith  went\tto Paris, 7 times.",
    "👩\u200d🚀 e\u0301 Olga went to New York, 8 times .",
)


def conll(path: Path, rows: int, first: int = 0) -> None:
    """Write sentences in which people go to places, in the scheme IOB1; every twentieth place has no label."""
    lines = ["-DOCSTART- O", ""]
    for number in range(first, first + rows):
        place = "O" if number % 20 == 7 else "I-LOC"
        parts = (
            (PEOPLE[number % 3], "I-PER"),
            ("went to", "O"),
            (PLACES[number // 3 % 3], place),
            (f", {number} times .", "O"),
        )
        lines += [f"{word} {label}" for text, label in parts for word in text.split()]
        lines += ["Bo I-PER", "Cy B-PER", ""]  # two entities in a row
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with LocalHub() as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, hub: LocalHub) -> Path:
    """Return a folder with a run, its predictions, explanations and export."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "data").mkdir()
    for part, rows, first in (("train", 120, 0), ("dev", 60, 120), ("test", 60, 200)):
        conll(folder / "data" / f"{part}.conll", rows, first)
    rows = [{"words": text} for text in TEXTS] + [{"words": ["Olga", "went", "to", "New", "York"]}]
    (folder / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (folder / "taken.jsonl").write_text('{"words": "a", "entities": []}\n', encoding="utf-8")
    outcomes = several(
        [
            ("finetune", "tokens", "--model", checkpoints.TINY, "--data", "data", "--epochs", "8", "--output", "run",
             "--learning-rate", "1e-3", "--set", "evaluation.checks=[robustness]", "--set", "evaluation.resamples=200"),
            ("predict", "run", "--input", "in.jsonl", "--output", "out.jsonl"),
            ("predict", "run", "--input", "in.jsonl", "--output", "out.csv"),
            ("predict", "run", TEXTS[0]),
            ("explain", "run", TEXTS[0], "--output", "entities"),
            ("explain", "run", TEXTS[0], "--word", "3", "--method", "all", "--output", "word"),
            ("export", "run", "--to", "onnx", "--output", "onnx"),
            ("push", "run", "acme/places"),
            ("predict", "acme/places", TEXTS[0]),
            ("predict", "run", "--input", "data/test.conll", "--output", "sentences.jsonl"),
            ("explain", "run", TEXTS[0], "--word", "99"),
            ("predict", "run", "--input", "taken.jsonl", "--output", "taken.csv"),
        ],
        cwd=folder,
        env=hub.environment(folder / "hf", hub.token),
        all_of_them=True,
    )  # fmt: skip
    assert [item.code for item in outcomes] == [*[0] * 10, 2, 2], [item.text for item in outcomes if item.code]
    (folder / "printed.txt").write_text(outcomes[3].out, encoding="utf-8")
    (folder / "from_hub.txt").write_text(outcomes[8].out, encoding="utf-8")
    (folder / "errors.txt").write_text(outcomes[10].err + outcomes[11].err, encoding="utf-8")
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_documentation_has_the_figures_of_the_files(home: Path) -> None:
    assert documented(home / "run", output=home / "documents")["counts"]["from the run"] >= 18


def test_report_of_entities(home: Path) -> None:
    report = read(home / "run" / "report.json")
    evaluation = report["evaluation"]
    assert [metric["name"] for metric in evaluation["metrics"]] == ["entity_f1", "entity_precision", "entity_recall"]
    assert evaluation["metrics"][0]["value"] > 0.9
    assert evaluation["labels"] == ["B-LOC", "B-PER", "I-LOC", "I-PER", "O"]
    assert {row["label"]: row["support"] for row in evaluation["per_class"]} == {"LOC": 57, "PER": 180}
    assert any("read as B-" in note and ".conll, row 3" in note for note in report["data"]["notes"])
    assert {"calibration", "slices", "label_errors", "robustness"} <= evaluation.keys()
    assert {evaluation[key]["unit"] for key in ("calibration", "slices", "label_errors")} == {"entities"}
    assert (home / "run" / "data" / "train_entities.json").is_file()


def test_wrong_labels_are_listed_to_be_checked(home: Path) -> None:
    examples = read(home / "run" / "report.json")["evaluation"]["label_errors"]["examples"]
    unlabelled = [example for example in examples if example["label"] == "no entity"]
    assert len(unlabelled) >= 2  # of the three places without a label
    assert all(example["suggestion"].startswith("LOC “") for example in unlabelled[:2])
    assert all(example["file"] == "test.conll" and "[" in example["text"] for example in examples)


def test_robustness_keeps_words_and_labels_aligned(home: Path) -> None:
    found = read(home / "run" / "report.json")["evaluation"]["robustness"]
    assert found["metric"] == "Entity F1"
    assert [change["name"] for change in found["invariance"]] == ["typos", "lower_case", "upper_case"]
    assert found["invariance"][0]["changed"] > 30
    low = next(change for change in found["invariance"] if change["name"] == "lower_case")
    assert low["difference"]["value"] == 0.0  # the vocabulary has no case
    for change in found["invariance"]:
        for failure in change["failures"]:
            assert len(failure["text"].split()) == len(failure["changed"].split())


def test_places_of_predicted_entities_are_exact(home: Path) -> None:
    rows = [json.loads(line) for line in (home / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    for row, text in zip(rows, (*TEXTS, "Olga went to New York"), strict=True):
        assert [text[entity["start"] : entity["end"]] for entity in row["entities"]] == [
            entity["text"] for entity in row["entities"]
        ]
    names = [[(entity["type"], entity["text"]) for entity in row["entities"]] for row in rows]
    names[1] = [entity for entity in names[1] if entity[1] != "e\u0301"]  # a letter that the model has not seen
    assert names == [
        [("PER", "Anna Smith"), ("LOC", "Paris")],
        [("PER", "Olga"), ("LOC", "New York")],
        [("PER", "Olga"), ("LOC", "New York")],
    ]
    assert all(0 < entity["score"] <= 1 for row in rows for entity in row["entities"])
    assert rows[0]["prediction"] == ["B-PER", "I-PER", "O", "O", "B-LOC", "O", "O", "O", "O"]  # "Paris" "," "times" "."


def test_csv_has_the_same_entities_as_json_in_a_cell(home: Path) -> None:
    rows = [json.loads(line) for line in (home / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    with (home / "out.csv").open(encoding="utf-8", newline="") as stream:
        cells = [json.loads(row["entities"]) for row in csv.DictReader(stream)]
    assert cells == [row["entities"] for row in rows]


def test_sentences_of_a_conll_file_are_predicted(home: Path) -> None:
    written = [json.loads(line) for line in (home / "sentences.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(written) == 60
    assert [row["words"][:2] for row in written[:2]] == [["Olga", "went"], ["Anna", "Smith"]]
    assert [len(row["prediction"]) for row in written] == [len(row["labels"]) for row in written]


def test_the_service_gives_the_same_entities(home: Path) -> None:
    rows = [json.loads(line) for line in (home / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    with serving("serve", "run", cwd=home) as address:
        _, answer = post(f"{address}/predict", {"inputs": [row["words"] for row in rows]})
    for served, row in zip(answer["predictions"], rows, strict=True):
        assert served["prediction"] == row["prediction"]
        assert [(e["start"], e["end"], e["type"]) for e in served["columns"]["entities"]] == [
            (e["start"], e["end"], e["type"]) for e in row["entities"]
        ]


def test_a_pushed_model_separates_words_as_the_run_does(home: Path) -> None:
    printed = (home / "printed.txt").read_text(encoding="utf-8")
    assert "PER “Anna Smith”" in printed
    assert "LOC “Paris”" in printed
    assert (home / "from_hub.txt").read_text(encoding="utf-8") == printed


def test_each_predicted_entity_is_explained(home: Path) -> None:
    found = read(home / "entities" / "explanation.json")
    assert [(text["asked"], text["prediction"]) for text in found["texts"]] == [
        ({"number": 1, "word": "Anna"}, "B-PER"),
        ({"number": 5, "word": "Paris"}, "B-LOC"),
    ]
    for text in found["texts"]:
        assert text["words"] == ["Anna", "Smith", "went", "to", "Paris", ",", "7", "times", "."]
        assert len(text["scores"]["leave-one-out"]) == 9
    page = (home / "entities" / "explanation.html").read_text(encoding="utf-8")
    assert page.count('class="word asked"') + page.count('class="word against asked"') >= 2


def test_one_word_is_explained_by_every_method(home: Path) -> None:
    (text,) = read(home / "word" / "explanation.json")["texts"]
    assert (text["asked"], text["prediction"]) == ({"number": 3, "word": "went"}, "O")
    assert {"leave-one-out", "gradient-input", "relevance", "attention"} <= text["scores"].keys()
    assert all(len(scores) == 9 for scores in text["scores"].values())


def test_the_export_predicts_the_same(home: Path) -> None:
    parity = read(home / "onnx" / "export.json")
    assert parity["agreement"]["value"] == 1.0
    assert parity["drift"]["largest"] < 1e-3


def test_errors_have_their_identifiers(home: Path) -> None:
    errors = (home / "errors.txt").read_text(encoding="utf-8")
    assert "config.out-of-range" in errors
    assert "data.column-taken" in errors
