"""A run within a budget, by the real command; what it did is in its report."""

import json
import re
import signal
import time
from pathlib import Path

import pytest
import yaml

from tests.support import checkpoints
from tests.support.cli import several, start, toolkit
from tests.support.json_documents import problems

COMMON = ("finetune", "sentiment", "--data", "reviews.csv", "--set", "evaluation.resamples=100")


def report_of(run: Path) -> dict:
    return json.loads((run / "report.json").read_text(encoding="utf-8"))


def test_training_ends_with_the_budget(tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "reviews.csv", 400)
    long = ("--epochs", "1000", "--set", "training.early_stopping_patience=null")
    outcomes = several(
        [
            (*COMMON, "--model", f"auto:{checkpoints.TINY}", "--budget", "20s", *long, "--output", "limited"),
            (*COMMON, "--model", checkpoints.TINY, "--budget", "1h", "--epochs", "1", "--output", "ample"),
            (*COMMON, "--model", checkpoints.TINY, "--budget", "1s", "--output", "refused"),
            (*COMMON, "--model", checkpoints.TINY, "--budget", "30", "--output", "refused"),
            (*COMMON, "--model", checkpoints.TINY, "--budget", "1h", "--seeds", "2", "--output", "refused"),
        ],
        cwd=tmp_path,
        all_of_them=True,
    )
    assert [item.code for item in outcomes] == [0, 0, 2, 2, 2], outcomes[0].text
    assert "--budget" in outcomes[2].err
    assert "unit" in outcomes[3].err
    assert not (tmp_path / "refused").exists()

    report = report_of(tmp_path / "limited")
    training, spent = report["training"], report["training"]["budget"]
    assert problems("report.json", report) == []
    assert spent["seconds"] == 20
    assert 0 < training["steps"] < spent["steps_without_limit"]
    assert training["evaluations"][-1]["step"] == training["steps"]  # the last weights were validated
    assert not training["stopped_early"]
    assert training["model_choice"].startswith(f"auto: {checkpoints.TINY}, from ")
    config = yaml.safe_load((tmp_path / "limited" / "config.yaml").read_text(encoding="utf-8"))
    assert (config["model"], config["training"]["budget"]) == (checkpoints.TINY, 20)

    ample = report_of(tmp_path / "ample")["training"]
    assert ample["steps"] == ample["budget"]["steps_without_limit"] == ample["budget"]["steps_planned"]
    assert ample["budget"]["fewer_rows"] == []


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_resumed_run_continues_its_plan(tmp_path: Path, processes: str) -> None:
    checkpoints.reviews(tmp_path / "reviews.csv", 1200)
    command = (
        *(*COMMON, "--model", f"auto:{checkpoints.TINY}", "--budget", "90s", "--epochs", "1000", "--output", "run"),
        *("--set", "training.early_stopping_patience=null", "--num-processes", processes),
    )
    process = start(*command, cwd=tmp_path)
    log = tmp_path / "run" / "metrics.jsonl"
    while process.poll() is None and not (log.is_file() and '"training"' in log.read_text(encoding="utf-8")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    (total,) = re.findall(r"Stopped at step \d+ of (\d+)", err)
    resumed = [word if word != "90s" else "1h" for word in command]
    outcome = toolkit(*resumed, "--resume", cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    training = report_of(tmp_path / "run")["training"]
    assert training["steps"] == int(total)
    assert training["processes"] == int(processes)
