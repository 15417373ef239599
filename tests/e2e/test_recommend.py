"""Recommendation on a log with a planted order: the model finds it, popularity does not; every command works on it."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.cli import Outcome, several, toolkit
from tests.support.dossiers import documented
from tests.support.hub import LocalHub
from tests.support.interactions import log
from tests.support.json_documents import problems
from tests.support.service import post, serving

NAME = "acme/films"
CALL = ("finetune", "recommend", "--data", "log.csv", "--max-length", "12", "--batch-size", "32", "--width", "32")


@pytest.fixture(scope="module")
def films() -> Iterator[LocalHub]:
    with LocalHub() as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outcomes of the commands."""
    folder = tmp_path_factory.mktemp("films")
    log(folder / "log.csv", users=150, length=24, items=80)
    (folder / "histories.csv").write_text('who,history\nx,m11|m12|m13\ny,"[""m40"", ""m41""]"\nz,\n', encoding="utf-8")
    commands: list[list[str]] = [
        [*CALL, "--epochs", "14", "--learning-rate", "5e-3", "--output", "run"],
        [*CALL, "--epochs", "1", "--output", "other"],
        ["evaluate", "run"],
        ["predict", "run", "--input", "histories.csv", "--output", "out.csv", "--top", "3"],
        ["export", "run", "--to", "onnx"],
        ["compare", "run", "other", "--output", "compared"],
    ]
    outcomes = several(commands, folder)
    assert [outcome.code for outcome in outcomes] == [0] * len(commands), outcomes[-1].text
    return folder


@pytest.fixture(scope="module")
def report(home: Path) -> Any:
    return json.loads((home / "run" / "report.json").read_text(encoding="utf-8"))


def test_documentation_has_the_figures_of_the_files(home: Path) -> None:
    assert documented(home / "run", output=home / "documents")["counts"]["from the run"] >= 18


def metric(section: Any, name: str) -> dict[str, float]:
    figure: dict[str, float] = next(figure for figure in section["metrics"] if figure["name"] == name)
    return figure


def test_the_model_is_better_than_popularity(report: Any) -> None:
    assert problems("report.json", report) == []
    names = [baseline["name"] for baseline in report["baselines"]]
    assert names == ["Popularity", "Item neighbours", "Most frequent successor"]
    assert report["baselines"][0]["difference"]["low"] > 0.1
    assert metric(report["evaluation"], "hit_rate_10")["value"] > 0.6
    assert metric(report["baselines"][2], "hit_rate_10")["value"] > 0.6  # the order is of the first degree
    figure = metric(report["evaluation"], "ndcg_10")
    assert figure["low"] < figure["value"] < figure["high"]


def test_recommended_items_are_described(report: Any) -> None:
    section = report["evaluation"]["recommendations"]
    assert section["items"] == 80
    assert 0 < section["coverage"] <= 1
    assert section["repeats"] == 0
    assert section["exclude_seen"] is True
    assert section["users"] > 10
    assert section["popularity_ratio"]["low"] < section["popularity_ratio"]["high"]


def test_rows_are_divided_by_time(home: Path, report: Any) -> None:
    test, validation = (pq.read_table(home / "run" / "data" / f"{part}.parquet") for part in ("test", "validation"))
    assert max(map(int, validation["time"].to_pylist())) < min(map(int, test["time"].to_pylist()))
    assert [part["given"] for part in report["data"]["splits"]] == [False] * 3
    assert any("density" in note for note in report["data"]["notes"])


def test_repeated_evaluation_gives_the_same_metrics(home: Path, report: Any) -> None:
    again = json.loads((home / "run" / "evaluations" / "held-out" / "report.json").read_text(encoding="utf-8"))
    assert again["evaluation"]["metrics"] == report["evaluation"]["metrics"]


def test_histories_get_the_items_that_follow(home: Path) -> None:
    with (home / "out.csv").open(encoding="utf-8", newline="") as stream:
        first, second, empty = csv.DictReader(stream)
    for row, wanted in ((first, "m14"), (second, "m42")):
        items, scores = json.loads(row["prediction"]), json.loads(row["scores"])
        assert items[0] == wanted
        assert len(items) == len(scores) == 3
        assert scores == sorted(scores, reverse=True)
    assert (empty["prediction"], bool(empty["problem"])) == ("", True)


def test_a_typed_history_and_one_of_unknown_items(home: Path) -> None:
    outcome = toolkit("predict", "run", "m11|m12|m13", "never|seen", cwd=home)
    assert outcome.code == 0, outcome.text
    first, second = outcome.out.splitlines()
    assert first.startswith("m14 ")
    assert first.count("%") == second.count("%") == 10


def test_the_export_predicts_the_same(home: Path) -> None:
    facts = json.loads((home / "run" / "exports" / "onnx" / "export.json").read_text(encoding="utf-8"))
    assert facts["agreement"]["same"] == facts["agreement"]["rows"] > 100
    assert facts["drift"]["largest"] < 1e-5


def test_two_runs_are_compared_over_users(home: Path) -> None:
    comparison = json.loads((home / "compared" / "report.json").read_text(encoding="utf-8"))["comparison"]
    (pair,) = comparison["pairs"]
    assert pair["differences"][0]["name"] == "ndcg_10"
    assert pair["differences"][0]["low"] > 0


def test_histories_are_not_explained(home: Path) -> None:
    outcome = toolkit("explain", "run", "m1|m2", cwd=home)
    assert outcome.code != 0
    assert "[model.wrong-input]" in outcome.err


def test_the_service_ranks_items(home: Path) -> None:
    with serving("serve", "run", cwd=home) as address:
        code, response = post(f"{address}/predict", {"inputs": [["m11", "m12"], "m40|m41", {"history": ["m5"]}]})
    assert code == 200, response
    assert [item["prediction"][0] for item in response["predictions"]] == ["m13", "m42", "m6"]
    assert len(response["predictions"][0]["columns"]["scores"]) == 10


def test_the_model_goes_to_the_hub_and_back(home: Path, films: LocalHub, tmp_path: Path) -> None:
    env = films.environment(tmp_path / "hf", films.token)
    outcome = toolkit("push", "run", NAME, cwd=home, env=env)
    assert outcome.code == 0, outcome.text
    assert {"README.md", "model.safetensors", "tokenizer.json"} <= films.files(NAME).keys()
    answer: Outcome = toolkit("predict", NAME, "m11|m12|m13", cwd=home, env=env)
    assert answer.code == 0, answer.text
    assert answer.out.startswith("m14 ")


def test_plain_transformers_ranks_the_same(home: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(home / "run" / "model")
    model = AutoModelForCausalLM.from_pretrained(home / "run" / "model").eval()
    inputs = tokenizer(["m11", "m12", "m13"], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        assert tokenizer.convert_ids_to_tokens(int(model(**inputs).logits[0, -1].argmax())) == "m14"


def test_a_log_is_inspected(home: Path) -> None:
    outcome = toolkit("inspect", "log.csv", "--recipe", "recommend", cwd=home)
    assert outcome.code == 0, outcome.text
    for fact in ("150 users", "80 items", "density", "2001-09-"):
        assert fact in outcome.text
