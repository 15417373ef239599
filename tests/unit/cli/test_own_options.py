"""A recipe's own keys are options of the command line; options of no recipe are rejected."""

from pathlib import Path

import pytest

from tests.support.cli import toolkit
from toolkit.cli.own_options import as_assignments

TAKEN = {"--model", "--set"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("translation --source en", "translation --set options.source=en"),
        ("--target=fr translation", "--set options.target=fr translation"),
        ("translation --length-factor 3 --model x", "translation --set options.length_factor=3 --model x"),
        ("translation --modle x", "translation --modle x"),
        ("sentiment --source en", "sentiment --source en"),
        ("translation -- --source en", "translation -- --source en"),
        ("runs/x --beams 2", "runs/x --set options.beams=2"),
    ],
)
def test_options(typed, meant):
    assert as_assignments(typed.split(), TAKEN) == meant.split()


def test_a_misspelt_option_of_a_recipe_is_guessed():
    outcome = toolkit("finetune", "image", "--augmnt", "photos", cwd=Path.cwd())
    assert outcome.code == 2
    assert "No such option: --augmnt (Possible options: --augment, " in outcome.err


def test_an_option_without_a_value_is_true(write):
    recipe = write("own.py", "class Options(BaseModel):\n    loud: bool = False\n")
    assert as_assignments([str(recipe), "--loud", "--model", "x"], TAKEN)[1:3] == ["--set", "options.loud=true"]
    assert as_assignments([str(recipe), "--loud"], TAKEN)[1:] == ["--set", "options.loud=true"]
