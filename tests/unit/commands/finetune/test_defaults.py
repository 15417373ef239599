import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.commands.finetune import defaults
from toolkit.commands.finetune.prepare import configure
from toolkit.config import resolve
from toolkit.tasks import catalogue

ROWS = st.integers(1, 1_000_000)


def steps(rows: int, batch: int, passes: float) -> int:
    return math.ceil(rows / batch) * int(passes)


@given(ROWS)
def test_small_tables_get_enough_steps(rows):
    batch = defaults.batch_size(rows)
    passes = defaults.epochs(rows, batch)
    assert defaults.FEWEST_PASSES <= passes <= defaults.MOST_PASSES
    taken = steps(rows, batch, passes)
    assert taken >= defaults.FEWEST_STEPS or passes == defaults.MOST_PASSES
    assert taken >= defaults.STEPS or passes >= defaults.PASSES


@given(ROWS, ROWS)
def test_more_rows_never_mean_more_passes_or_smaller_batches(one, other):
    few, many = sorted((one, other))
    assert defaults.batch_size(few) <= defaults.batch_size(many)
    assert defaults.epochs(few, 16) >= defaults.epochs(many, 16)


def test_the_rows_of_the_demo_keep_their_two_epochs_of_32():
    assert (defaults.batch_size(6_400), defaults.epochs(6_400, 32)) == (32, 2)


def test_the_values_follow_the_rows_with_every_recipe():
    recipes = catalogue.available()
    assert {"image", "recommend", "sentiment", "text", "tokens", "translation"} <= recipes.keys()
    for name in recipes:
        _, resolved = configure(name, [])
        filled = defaults.fill(resolved, 300)
        epochs = 36 if name == "recommend" else 6  # its model starts from random weights
        assert [filled.config.training.batch_size, filled.config.training.epochs] == [8, epochs]


def test_set_values_are_kept():
    resolved = resolve([("command", {"recipe": "sentiment"}), ("flag", {"training": {"epochs": 1}})])
    filled = defaults.fill(resolved, 400)
    training = filled.config.training
    assert (training.epochs, training.batch_size, training.early_stopping_patience) == (1, 8, 3)
    assert filled.origin("training.epochs") == "flag"
    assert filled.layer("training.batch_size") == "from 400 training rows"
    assert filled.automatic().keys() == {"training.batch_size", "training.early_stopping_patience"}


@pytest.mark.parametrize(
    ("rows", "epochs", "rule"),
    [
        (974, 4, "at least 400 steps, at most 4 passes"),
        (300, 6, "at least 200 steps, at most 20 passes"),
        (60, 20, "at least 200 steps, at most 20 passes"),
        (50_000, 2, "at least 2 passes"),
    ],
)
def test_the_rule_of_an_automatic_value_is_named(rows, epochs, rule):
    filled = defaults.fill(resolve([("command", {"recipe": "sentiment"})]), rows)
    assert filled.config.training.epochs == epochs
    assert filled.origin("training.epochs") == f"from {rows:,} training rows: {rule}"
    batch = defaults.batch_size(rows)
    assert filled.origin("training.batch_size").partition(": ")[2].startswith(f"{batch} ")


def test_random_weights_take_more_passes():
    layers = [("command", {"recipe": "image"}), ("flag", {"loading": {"from_scratch": True}})]
    plain = defaults.fill(resolve(layers[:1]), 3_000).config.training.epochs
    assert defaults.fill(resolve(layers), 3_000).config.training.epochs == defaults.FROM_SCRATCH * plain


@pytest.mark.parametrize(("passes", "expected"), [(2, 3), (6, 3), (20, 10)])
def test_patience_follows_the_passes(passes, expected):
    assert defaults.patience(passes) == expected
