"""Flags and assignments become layers; the command line said again, for another command."""

import sys

import pytest

from tests.support.errors import refused
from toolkit.cli.options import command_line, layers, names, own_recipe
from toolkit.errors import ConfigError


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


def test_a_flag_and_an_assignment_that_disagree_are_refused():
    with refused(ConfigError, "config.given-twice", "`training.epochs`", "3.0", "5") as caught:
        layers({"training.epochs": 3.0, "training.seed": None}, assignments=["training.epochs=5", "training.seed=1"])
    assert caught.value.fix == "Give it once."


def test_a_flag_and_an_assignment_that_agree_are_not():
    names = [name for name, _ in layers({"training.epochs": 3.0}, assignments=["training.epochs=3", "loss.x=1"])]
    assert names == ["--set", "flag"]


def test_a_misspelt_name_in_a_list_is_refused_with_the_nearest():
    known = ("robustness", "bias", "cost")
    assert names("all", known) == list(known)
    assert names(" bias, cost ", known) == ["bias", "cost"]
    with refused(ConfigError, "config.unknown-choice", "`robustness`") as error:
        names("bias,robustnes", known)
    assert "or all" in error.value.fix


@pytest.mark.parametrize("key", ["trust_remote_code", "allow_pickle"])
def test_a_file_does_not_let_code_run_unless_it_is_typed_too(tmp_path, key):
    file = tmp_path / "config.yaml"
    file.write_text(f"loading:\n  {key}: true\n", encoding="utf-8")
    with refused(ConfigError, "config.trust-in-file", "config.yaml"):
        layers({"training.epochs": 3.0}, config_file=file)
    assert dict(layers({f"loading.{key}": True}, config_file=file))["flag"] == {"loading": {key: True}}
    typed = [f"loading.{key}=false"]
    assert dict(layers({}, config_file=file, assignments=typed))["--set"] == {"loading": {key: False}}
    file.write_text(f"loading:\n  {key}: false\n  from_scratch: true\n", encoding="utf-8")
    assert layers({}, config_file=file)


def test_a_recipe_of_ones_own_is_named_again():
    assert own_recipe("sentiment") == []
    assert own_recipe("./mine.py") == ["--recipe", "./mine.py"]
