"""The command line, rewritten for another command."""

import sys

import pytest

from toolkit.cli.options import command_line


def test_options_that_are_another_commands_are_left_out(monkeypatch):
    typed = ["lr-find", "sentiment", "--steps", "50", "-d", "my file.csv", "--output=x", "--set", "a.steps=1"]
    monkeypatch.setattr(sys, "argv", ["toolkit", *typed])
    assert command_line() == "toolkit lr-find sentiment --steps 50 -d 'my file.csv' --output=x --set a.steps=1"
    again = command_line("finetune", without=("--steps", "--output"))
    assert again == "toolkit finetune sentiment -d 'my file.csv' --set a.steps=1"


@pytest.mark.parametrize("assigned", [["--set", "training.learning_rate=1e-4"], ["--set=training.learning_rate=1e-4"]])
def test_a_value_that_is_replaced_is_left_out(monkeypatch, assigned):
    monkeypatch.setattr(sys, "argv", ["toolkit", "lr-find", "sentiment", *assigned, "--set", "training.dropout=0"])
    again = command_line("finetune", unset="training.learning_rate")
    assert again == "toolkit finetune sentiment --set training.dropout=0"
