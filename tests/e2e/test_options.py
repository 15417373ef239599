"""Options that change what is trained, through the real command line: the files of the run."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support import checkpoints
from tests.support.cli import environment, toolkit

USE = """
import sys
from transformers import pipeline
said = pipeline("text-classification", model="run/model")("a wonderful film with a clever plot, seen 5 times")
assert said[0]["label"] in ("positive", "negative"), said
assert "peft" not in sys.modules
"""


def test_adapters_are_merged_into_the_model(tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "reviews.csv", 200)
    outcome = toolkit(
        "finetune", "sentiment", "--preset", "lora", "--model", checkpoints.TINY, "--data", "reviews.csv",
        "--output", "run", "--epochs", "2", "--set", "evaluation.baselines=false", "--set", "training.ema_decay=0.9",
        "--set", "loss.class_weights={negative: 2}", cwd=tmp_path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.text
    assert "parameters are trained" in outcome.err
    run = tmp_path / "run"
    beside = {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "toolkit.json",
    }  # so that it is a model by itself
    assert {path.name for path in (run / "adapter").iterdir()} == {
        *("adapter_config.json", "adapter_model.safetensors"),
        *beside,
    }
    assert not list((run / "model").glob("adapter*"))
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    training = report["training"]
    assert training["objective"] == "cross entropy, weighted by class"
    assert training["learning_rate"] == 3e-3  # ten times that of full training
    assert 0 < training["trainable_parameters"] < report["model"]["parameters"] / 10
    assert all({"loss", "train_loss"} <= point.keys() for point in training["evaluations"])
    assert any("on train rows" in statement for statement in report["verdict"]["statements"])
    assert 'class="learned"' in (run / "report.html").read_text(encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_acceleration_off_is_recorded(tmp_path: Path) -> None:
    checkpoints.reviews(tmp_path / "reviews.csv", 200)
    command = (
        *("finetune", "sentiment", "--model", checkpoints.TINY, "--data", "reviews.csv", "--output", "run"),
        *("--epochs", "1", "--set", "evaluation.baselines=false", "--set", "training.acceleration=off"),
    )
    refused = toolkit(*command, "--tune-speed", cwd=tmp_path)
    assert refused.code == 2
    assert "training.acceleration" in refused.err
    assert "training.tune_speed" in refused.err
    outcome = toolkit(*command, cwd=tmp_path)
    assert outcome.code == 0, outcome.text
    run = tmp_path / "run"
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert (facts["acceleration"], facts["precision"]) == ("off", "fp32")
    assert json.loads((run / "report.json").read_text(encoding="utf-8"))["training"]["acceleration"] == "off"
    assert "no acceleration" in (run / "report.md").read_text(encoding="utf-8")
    card = json.loads((run / "model" / "toolkit.json").read_text(encoding="utf-8"))
    assert card["training"]["acceleration"] == "off"
