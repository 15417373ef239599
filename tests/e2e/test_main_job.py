"""The literal commands, against a local Hub, in processes of their own."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import DATA, Made
from tests.support import checkpoints
from tests.support.cli import several, toolkit
from tests.support.hub import LocalHub
from tests.support.json_documents import problems


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def figures(report: dict) -> dict:
    return {key: report["evaluation"][key] for key in ("metrics", "per_class", "confusion", "rows", "loss")}


def test_run_directory_is_complete(made: Made) -> None:
    names = {path.relative_to(made.run).as_posix() for path in made.run.rglob("*") if path.is_file()}
    assert names >= {
        "config.yaml", "run.json", "metrics.jsonl", "predictions.parquet", "report.json", "report.md", "report.html",
        "data/test.parquet", "data/validation.parquet", "model/model.safetensors", "model/config.json",
        "model/tokenizer.json", "model/toolkit.json",
    }  # fmt: skip
    facts = json.loads((made.run / "run.json").read_text(encoding="utf-8"))
    assert facts["status"] == "complete"
    assert facts["labels"] == ["neg", "pos"]
    assert facts["data"]["fingerprint"].startswith("sha256:")
    lines = [json.loads(line) for line in (made.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["event"] for line in lines} == {"training", "validation"}


def test_only_hub_requests_are_made(made: Made, hub: LocalHub) -> None:
    assert hub.seen(r"/distilbert/distilbert-base-uncased/resolve/.*model\.safetensors")
    assert hub.seen("datasets/" + DATA)
    assert not hub.seen("CONNECT")
    assert "Loading weights" not in made.outcome.text
    assert "Traceback" not in made.outcome.text


def test_report_compares_model_with_baselines(made: Made) -> None:
    report = report_of(made.run)
    assert report["evaluation"]["split"] == "held-out test"
    assert report["evaluation"]["rows"] == 80
    accuracy = report["evaluation"]["metrics"][0]
    assert accuracy["name"] == "accuracy"
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert [baseline["name"] for baseline in report["baselines"]] == [
        "Majority class",
        "TF-IDF + logistic regression",
        "Frozen features + logistic regression",
    ]
    assert report["config"]["training"]["epochs"] > 2  # so few rows need more passes
    assert report["baselines"][0]["metrics"][0]["value"] == 0.5
    for baseline in report["baselines"]:
        lead = accuracy["value"] - baseline["metrics"][0]["value"]
        assert baseline["difference"]["value"] == pytest.approx(lead)
    assert report["command"].startswith("toolkit finetune sentiment --model distilbert")
    for page in ("report.md", "report.html"):
        assert "distilbert" in (made.run / page).read_text(encoding="utf-8")


def test_no_path_or_name_of_this_machine_is_in_the_report(made: Made) -> None:
    import getpass
    import socket

    text = (made.run / "report.json").read_text(encoding="utf-8") + (made.run / "run.json").read_text(encoding="utf-8")
    assert str(Path.home()) + "/" not in text
    assert str(made.cwd) not in text
    assert socket.gethostname() not in text
    assert f'"{getpass.getuser()}"' not in text


def test_evaluate_reloads_and_gives_same_metrics(made: Made) -> None:
    outcome = toolkit("evaluate", cwd=made.cwd, env=made.env)
    assert outcome.code == 0, outcome.text
    assert made.run.name in outcome.text
    assert "Using stored predictions" in outcome.err
    again = report_of(made.run / "evaluations" / "held-out")
    assert figures(again) == figures(report_of(made.run))
    assert again["baselines"] == report_of(made.run)["baselines"]
    assert problems("report.json", again) == []
    fresh = toolkit("evaluate", "--fresh", cwd=made.cwd, env=made.env)
    assert fresh.code == 0, fresh.text
    assert "Using stored predictions" not in fresh.err
    assert figures(report_of(made.run / "evaluations" / "held-out")) == figures(again)


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"PAR1")])
def test_lost_predictions_are_computed_again(made: Made, tmp_path: Path, damage) -> None:
    run = tmp_path / "copy"
    shutil.copytree(made.run, run, ignore=shutil.ignore_patterns("evaluations"))
    damage(run / "predictions.parquet")
    outcome = toolkit("evaluate", run, cwd=tmp_path, env=made.env)
    assert outcome.code == 0, outcome.text
    assert "the baselines are omitted" in outcome.err
    again = report_of(run / "evaluations" / "held-out")
    assert again["evaluation"]["metrics"] == report_of(made.run)["evaluation"]["metrics"]
    assert again["baselines"] == []


def test_compare_requires_the_same_rows(made: Made, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "new.csv", 60, seed=9)
    table.write_text(table.read_text(encoding="utf-8").replace("positive", "pos").replace("negative", "neg"), "utf-8")
    judging = [("evaluate", made.run, "--data", table, "--output", output) for output in ("one", "other")]
    outcomes = several([*judging, ("compare", "one", "other", "--output", "both")], tmp_path, made.env)
    outcome = outcomes[-1]
    assert [item.code for item in outcomes] == [0, 0, 0], outcome.text
    assert "one and other give the same prediction for every example." in outcome.out
    report = report_of(tmp_path / "both")
    assert problems("report.json", report) == []
    assert report["comparison"]["rows"] == 60
    assert "Metrics of each model" in (tmp_path / "both" / "report.html").read_text(encoding="utf-8")
    refused = toolkit("compare", made.run, "one", cwd=tmp_path)
    assert refused.code == 2
    assert "[compare.different-rows]" in refused.err
    assert toolkit("compare", made.run, cwd=tmp_path).code == 2


def test_evaluate_a_model_folder_on_new_data(made: Made, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "new.csv", 60, seed=9)
    text = table.read_text(encoding="utf-8").replace("positive", "POS").replace("negative", "NEG")
    table.write_text(text, encoding="utf-8")
    model = shutil.copytree(made.run / "model", tmp_path / "model")
    outcome = toolkit("evaluate", model, "--data", table, "--output", "out", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    report = report_of(tmp_path / "out")
    assert report["evaluation"]["rows"] == 60
    assert report["evaluation"]["labels"] == ["neg", "pos"]
    saved = pq.read_table(tmp_path / "out" / "predictions.parquet")
    assert saved["_row"].to_pylist() == list(range(2, 62))
    again = toolkit("evaluate", model, "--data", table, "--output", "out", cwd=tmp_path)
    assert again.code == 2
    assert "[output.exists]" in again.err


def test_screening_is_available_after_training(made: Made) -> None:
    wanted = ("--set", "evaluation.operating_points=[sensitivity=0.8]", "--set", "evaluation.positive_class=pos")
    outcome = toolkit("evaluate", made.run, *wanted, "--output", "screened", cwd=made.cwd, env=made.env)
    assert outcome.code == 0, outcome.text
    assert "Choosing thresholds on validation rows" in outcome.err
    result = report_of(made.cwd / "screened")["evaluation"]["screening"]
    assert result["positive"] == "pos"
    assert [point["name"] for point in result["points"]] == ["balanced", "sensitivity=0.8"]
    refused = toolkit("evaluate", made.run, "--set", "evaluation.positive_class=zzz", cwd=made.cwd, env=made.env)
    assert refused.code == 2
    assert "[config.unknown-class]" in refused.err


def test_evaluate_dry_run_predicts_nothing(made: Made, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "new.csv", 60, seed=9)
    table.write_text(table.read_text(encoding="utf-8").replace("positive", "pos").replace("negative", "neg"), "utf-8")
    outcome = toolkit("evaluate", made.run, "--data", table, "--dry-run", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert "60 given rows" in outcome.out
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_evaluate_refuses_labels_that_do_not_match_and_shows_both_lists(made: Made, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text,label\nfine,cat\nfiner,dog\n", encoding="utf-8")
    outcome = toolkit("evaluate", made.run, "--data", "new.csv", cwd=tmp_path)
    assert outcome.code == 2
    assert "cat, dog" in outcome.err
    assert "neg, pos" in outcome.err


def test_model_folder_works_in_a_pipeline(made: Made) -> None:
    from transformers import pipeline

    rows = pq.read_table(made.run / "data" / "test.parquet").to_pylist()
    output = pq.read_table(made.run / "predictions.parquet")["prediction"].to_pylist()
    classify = pipeline("text-classification", model=str(made.run / "model"), device="cpu")
    labels = [answer["label"] for answer in classify([row["text"] for row in rows])]
    assert labels == [["neg", "pos"][number] for number in output]


def test_seed_determines_weights(tiny_distilbert: Path, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 120)
    common = ("finetune", "sentiment", "--model", tiny_distilbert, "--data", table, "--epochs", "1")
    names = {"a": "3", "b": "3", "c": "4"}
    runs = [(*common, "--seed", n, "--output", name, "--set", "training.dropout=0.1") for name, n in names.items()]
    outcomes = several([*runs, ("evaluate", "c")], tmp_path)
    assert [outcome.code for outcome in outcomes] == [0] * 4, outcomes[-1].text
    assert ["that an earlier run prepared" in outcome.err for outcome in outcomes[:3]] == [
        False,
        True,
        False,
    ]
    first, two, other = (checkpoints.digest(tmp_path / name / "model" / "model.safetensors") for name in "abc")
    assert first == two
    assert first != other
    assert figures(report_of(tmp_path / "c" / "evaluations" / "held-out")) == figures(report_of(tmp_path / "c"))


def test_local_run_makes_no_requests(tiny_distilbert: Path, hub: LocalHub, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60)
    before = len(hub.requests)
    env = hub.environment(tmp_path / "hf")
    outcome = toolkit(
        "finetune", "sentiment", "--model", tiny_distilbert, "--data", table, "--epochs", "1", cwd=tmp_path, env=env
    )
    assert outcome.code == 0, outcome.text
    assert hub.requests[before:] == []


def test_a_second_run_works_offline_from_the_cache(made: Made, tmp_path: Path) -> None:
    env = {**made.env, "HF_HUB_OFFLINE": "1"}
    outcome = toolkit("finetune", "sentiment", "--model", "distilbert", "--dry-run", cwd=tmp_path, env=env)
    assert outcome.code == 0, outcome.text
    assert "cached copy" in outcome.err


def test_dry_run_writes_nothing(tiny_distilbert: Path, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 60)
    outcome = toolkit("finetune", "sentiment", "--model", tiny_distilbert, "--data", table, "--dry-run", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    assert "51 labelled rows" in outcome.out
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.csv"]


def test_a_label_text_from_the_data_is_escaped_in_the_page(tiny_distilbert: Path, tmp_path: Path) -> None:
    table = checkpoints.reviews(tmp_path / "reviews.csv", 120)
    hostile = (
        table.read_text(encoding="utf-8")
        .replace("positive", "<script>alert(1)</script>")
        .replace("a ", "a <b>bold</b> ")
    )
    table.write_text(hostile, encoding="utf-8")
    outcome = toolkit(
        "finetune",
        "sentiment",
        "--model",
        tiny_distilbert,
        "--data",
        table,
        "--epochs",
        "1",
        "--output",
        "run",
        cwd=tmp_path,
    )
    assert outcome.code == 0, outcome.text
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<b>bold" not in page
