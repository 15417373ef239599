"""The command line, rewritten for another command."""

import sys

import pytest
import typer

from tests.support.cli import toolkit
from toolkit.cli import app
from toolkit.cli.options import command_line


def test_options_that_are_another_commands_are_left_out(monkeypatch):
    typed = ["lr-find", "sentiment", "--steps", "50", "-d", "my file.csv", "--output=x", "--set", "a.steps=1"]
    monkeypatch.setattr(sys, "argv", ["toolkit", *typed])
    assert command_line() == "toolkit lr-find sentiment --steps 50 -d 'my file.csv' --output=x --set a.steps=1"
    again = command_line("finetune", without=("--steps", "--output"))
    assert again == "toolkit finetune sentiment -d 'my file.csv' --set a.steps=1"


@pytest.mark.parametrize("words", [["--quiet", "lr-find", "text"], ["lr-find", "text", "--debug", "--quiet"]])
def test_options_of_every_command_are_left_out(monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["toolkit", *words, "--", "--quiet"])
    assert command_line() == "toolkit lr-find text -- --quiet"
    assert command_line("finetune") == "toolkit finetune text -- --quiet"


@pytest.mark.parametrize("assigned", [["--set", "training.learning_rate=1e-4"], ["--set=training.learning_rate=1e-4"]])
def test_a_value_that_is_replaced_is_left_out(monkeypatch, assigned):
    monkeypatch.setattr(sys, "argv", ["toolkit", "lr-find", "sentiment", *assigned, "--set", "training.dropout=0"])
    again = command_line("finetune", unset="training.learning_rate")
    assert again == "toolkit finetune sentiment --set training.dropout=0"


def test_a_file_of_values_is_taken_wherever_values_are_set():
    root = typer.main.get_command(app)
    commands = {**root.commands, **root.commands["recipes"].commands}
    options = {name: {option for item in command.params for option in item.opts} for name, command in commands.items()}
    with_values = {name for name, named in options.items() if "--set" in named}
    assert {"finetune", "evaluate", "predict", "serve", "pretrain", "show"} <= with_values
    assert {name for name, named in options.items() if "--config" in named} == with_values


@pytest.mark.parametrize(
    "typed",
    [
        ["compare", "a", "b"],
        ["inspect", "data.csv"],
        ["pretrain"],
        ["predict", "run", "a"],
        ["export", "run", "--to", "onnx"],
    ],
)
def test_a_file_of_values_is_read(tmp_path, typed):
    outcome = toolkit(*typed, "--config", "missing.yaml", cwd=tmp_path)
    assert outcome.code == 2
    assert "[config.file-unreadable]" in outcome.err
    assert "missing.yaml" in outcome.err
