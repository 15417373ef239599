"""Every command prints one JSON document with --json, of which its schema is true; so are the files."""

import json
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support import checkpoints
from tests.support.cli import environment, start, toolkit
from tests.support.json_documents import SCHEMAS, check_file, document, problems

MODEL = "pkg://cognition/model"
QUICK = ("--set", "evaluation.resamples=200")
TRAIN = ("--model", MODEL, "--data", "data.csv", "--epochs", "1", "--learning-rate", "1e-3", *QUICK)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("json")
    table = checkpoints.reviews(cwd / "data.csv", 240, seed=0)
    head, *lines = table.read_text(encoding="utf-8").splitlines()
    other = {"positive": "negative", "negative": "positive"}
    for number in range(0, len(lines), 24):  # a few wrong labels, for `repair`
        text, _, label = lines[number].rpartition(",")
        lines[number] = f"{text},{other[label]}"
    table.write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    new = checkpoints.reviews(cwd / "new.csv", 60, seed=7)
    texts = [line.rpartition(",")[0].strip('"') for line in new.read_text(encoding="utf-8").splitlines()[1:]]
    (cwd / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    return cwd


def printed(place: Path, *arguments: str | Path, code: int = 0, name: str | None = None) -> dict[str, Any]:
    """Run a command with --json and --quiet; standard error must be empty."""
    outcome = toolkit(*arguments, "--json", "--quiet", cwd=place)
    assert (outcome.code, outcome.err) == (code, ""), outcome.text
    return document(outcome, name or str(arguments[0]))


@pytest.fixture(scope="module")
def run(place: Path) -> dict[str, Any]:
    return printed(place, "finetune", "text", *TRAIN, "--output", "run")


def test_training(place: Path, run: dict[str, Any]) -> None:
    report = json.loads((place / "run" / "report.json").read_text(encoding="utf-8"))
    assert run["path"] == "run"
    assert run["metrics"][0]["value"] == report["evaluation"]["metrics"][0]["value"]
    assert run["verdict"] == report["verdict"]
    for key in ("model", "report", "page"):
        assert (place / run[key]).exists(), key
    check_file(place / "run" / "report.json", "report.json")
    check_file(place / "run" / "run.json", "run.json")
    check_file(place / "run" / "model" / "toolkit.json", "toolkit.json")


def test_plans(place: Path, run: dict[str, Any]) -> None:
    plan = printed(place, "finetune", "text", *TRAIN, "--dry-run")
    assert (plan["dry_run"], plan["path"]) == (True, None)
    assert plan["plan"] != ""
    plan = printed(place, "evaluate", "run", "--dry-run")
    assert (plan["dry_run"], plan["path"], plan["metrics"]) == (True, None, [])
    push = printed(place, "push", "run", "org/name", "--dry-run")
    assert (push["dry_run"], push["destination"]["url"]) == (True, None)
    assert push["files"]["report.json"] > 0


def test_seeds(place: Path) -> None:
    several = printed(place, "finetune", "text", *TRAIN, "--seeds", "2", "--output", "seeds")
    assert len(several["seeds"]) == 2
    assert all((place / seed / "run.json").is_file() for seed in several["seeds"])
    assert several["model"] is None
    check_file(place / "seeds" / "report.json", "report.json")


def test_report_with_all_checks(place: Path, run: dict[str, Any]) -> None:
    outcome = toolkit("evaluate", "run", "--checks", "all", *QUICK, "--output", "all", "--json", cwd=place)
    assert outcome.code == 0, outcome.text
    assert outcome.err.count("\n") > 5, "progress and the readable result are there"
    content = document(outcome, "evaluate")
    check_file(place / content["report"], "report.json")
    evaluation = json.loads((place / "all" / "report.json").read_text(encoding="utf-8"))["evaluation"]
    assert {"robustness", "bias", "cost", "explanations", "faithfulness", "calibration"} <= evaluation.keys()
    assert content["rows"] == evaluation["rows"]


def test_gate(place: Path, run: dict[str, Any]) -> None:
    printed(place, "finetune", "text", *TRAIN, "--learning-rate", "1e-9", "--output", "weak")
    (place / "gate.yaml").write_text("metrics: {margin: 0.001}\n", encoding="utf-8")
    options = ("--gate", "gate.yaml", *QUICK, "--output", "compared")
    content = printed(place, "compare", "run", "weak", *options, code=3)
    assert content["passed"] is False
    assert any(rule["verdict"] != "passed" for rule in content["rules"])
    check_file(place / content["report"], "report.json")
    content = printed(place, "compare", "run", "weak", *QUICK, "--output", "plain")
    assert (content["passed"], content["rules"], len(content["models"])) == (None, [], 2)


def test_new_rows(place: Path, run: dict[str, Any]) -> None:
    watched = printed(place, "watch", "run", "--input", "texts.txt", *QUICK)
    assert watched["claimed"] == watched["shift"]["claimed"]
    (batch,) = (place / "run" / "watch" / "batches.jsonl").read_text(encoding="utf-8").splitlines()
    assert problems("batches.jsonl", json.loads(batch)) == []
    chosen = printed(place, "select", "run", "--pool", "texts.txt", "--rows", "5", "--no-curve", "--output", "pick.csv")
    assert len(chosen["choice"]["rows"]) == 5
    assert chosen["joined"] is None
    joined = printed(place, "select", "run", "--labelled", "new.csv", "--output", "joined")
    assert joined["joined"]["folder"] == "joined"
    assert joined["joined"]["added"] > 0


def test_predictions_are_in_the_document_or_in_a_file(place: Path, run: dict[str, Any]) -> None:
    few = printed(place, "predict", "run", "a delightful film", "a dull film", "--all-scores")
    assert [row["input"] for row in few["predictions"]] == ["a delightful film", "a dull film"]
    assert {"prediction", "score", "problem"} <= few["predictions"][0].keys()
    assert few["path"] is None
    many = printed(place, "predict", "run", "--input", "new.csv", "--output", "out.csv")
    assert (many["path"], many["rows"], many["failed"], many["predictions"]) == ("out.csv", 60, 0, None)
    assert len((place / "out.csv").read_text(encoding="utf-8").splitlines()) == 61
    clash = toolkit("predict", "run", "--input", "new.csv", "--output", "-", "--json", cwd=place)
    assert (clash.code, document(clash, "failure")["error"]["id"]) == (2, "config.conflict")


def test_explanations(place: Path, run: dict[str, Any]) -> None:
    content = printed(place, "explain", "run", "a delightful film", "--method", "leave-one-out", "--output", "why")
    (explained,) = content["explained"]
    assert len(explained["words"]) == len(explained["scores"]) == 3
    check_file(place / content["file"], "explanation.json")
    measured = printed(
        place, "explain", "run", "a dull film", "--method", "all", "--rows", "12", "--output", "measured"
    )
    check_file(place / measured["file"], "explanation.json")
    steps = printed(place, "attend", "run", "a delightful film")
    assert len(steps["steps"]) > 5


def test_other_forms(place: Path, run: dict[str, Any]) -> None:
    content = printed(place, "export", "run", "--to", "safetensors", "--output", "exported")
    assert content["same"] == content["rows"]
    check_file(place / "exported" / "export.json", "export.json")
    dossier = printed(place, "dossier", "run", "--output", "dossier")
    assert all((place / dossier["path"] / name).is_file() for name in dossier["files"])
    pruned = printed(place, "prune-heads", "run", "--share", "0.5", "--rows", "20", "--output", "pruned")
    assert (place / pruned["report"]).is_file()
    assert 0 < pruned["left_out"] < pruned["heads"]
    check_file(place / "pruned" / "run.json", "run.json")
    check_file(place / "pruned" / "model" / "toolkit.json", "toolkit.json")


def test_estimates(place: Path) -> None:
    plan = printed(place, "plan", "text", *TRAIN[:4], "--epochs", "1")
    assert plan["here"]["micro_batch_size"] == plan["batch_size"]
    assert plan["here"]["memory"]["activations"] > 0
    assert {fit["device"] for fit in plan["elsewhere"]} >= {"NVIDIA T4", "NVIDIA H100 SXM"}


def test_searches(place: Path) -> None:
    rate = printed(place, "lr-find", "text", *TRAIN[:4], "--steps", "20", "--output", "rate")
    assert rate["suggestion"] > 0
    assert f"--learning-rate {rate['suggestion']:g}" in rate["train"]
    options = ("--trials", "2", "--search", "learning_rate=1e-4..1e-3:log", "--output", "search")
    tuned = printed(place, "tune", "text", *TRAIN[:4], "--set", "training.epochs=1", *QUICK, *options)
    assert [trial["number"] for trial in tuned["trials"]] == [1, 2]
    assert tuned["trials"][tuned["best"] - 1]["value"] == tuned["value"]
    assert (place / tuned["preset"]).is_file()
    adapted = printed(place, "pretrain", "--model", MODEL, "--data", "texts.txt", "--epochs", "1", "--output", "mlm")
    assert adapted["perplexity"] > 1


def test_repair(place: Path, run: dict[str, Any]) -> None:
    doubts = printed(place, "repair", "run")
    assert (place / doubts["found"]["table"]).is_file()
    table = place / doubts["found"]["table"]
    head, first, *_ = table.read_text(encoding="utf-8").splitlines()
    (place / "decided.csv").write_text(f"{head}\n{first.removesuffix(',')}drop,\n", encoding="utf-8")
    fixed = printed(place, "repair", "run", "--decisions", "decided.csv", "--output", "fixed")
    assert (fixed["found"], fixed["path"], fixed["gain"]["dropped"]) == (None, "fixed", 1)
    assert (place / fixed["comparison"] / "report.json").is_file()


@pytest.mark.parametrize("command", ["serve", "app"])
def test_service_says_where_it_listens(place: Path, run: dict[str, Any], command: str) -> None:
    browser = ("--no-browser",) if command == "app" else ()
    with start(command, "run", "--port", "0", *browser, "--json", "--quiet", cwd=place) as process:
        try:
            line = process.stdout.readline()
            content = json.loads(line)
            with urllib.request.urlopen(content["address"] + "health", timeout=20) as response:
                assert response.status == 200
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(30) == 0
    assert content["labels"] == ["negative", "positive"]
    assert content["command"] == command
    assert SCHEMAS[command]["required"] == list(content)


def test_failures(place: Path, run: dict[str, Any]) -> None:
    outcome = toolkit("evaluate", "nowhere", "--json", cwd=place, env=environment())
    content = document(outcome, "failure")
    assert (content["command"], content["error"]["exit_code"]) == ("evaluate", outcome.code)
    assert f"[{content['error']['id']}]" in outcome.err
