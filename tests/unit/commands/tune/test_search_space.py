"""Search spaces are read as they are documented, and refused before anything is trained."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.commands.finetune import defaults
from toolkit.commands.tune.search_space import Choice, Range, build, nested, parse, suggest
from toolkit.config import resolve
from toolkit.errors import ConfigError


def resolved(**training):
    layers = [("command", {"recipe": "sentiment"}), ("from the model", {"training": {"learning_rate": 1e-4}})]
    return resolve([*layers, ("flag", {"training": training})] if training else layers)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1e-5..1e-3:log", Range(1e-5, 1e-3, log=True, whole=False)),
        ("0..0.3", Range(0, 0.3, log=False, whole=False)),
        ("1..4", Range(1, 4, log=False, whole=True)),
        ("16|32|64", Choice((16, 32, 64))),
        ("linear | cosine", Choice(("linear", "cosine"))),
        ("0.1", Choice((0.1,))),
        (0.1, Choice((0.1,))),
        ([1, "a"], Choice((1, "a"))),
        ("null|0.1", Choice((None, 0.1))),
    ],
)
def test_ranges_and_choices(written, expected):
    assert parse("key", written) == expected


@pytest.mark.parametrize("written", ["1..0", "0..1:log", "a..b", "1..", "1..1", "1..2:lin", "1e..3"])
def test_invalid_search_space_is_rejected(written):
    with refused(ConfigError, "config.malformed-value", "`key`"):
        parse("key", written)


def test_the_usual_space_is_around_the_rate_that_would_be_used():
    space = build(resolved(), {})
    assert space["training.learning_rate"] == Range(2e-5, 4e-4, log=True, whole=False)
    assert len(space) == 6


def test_values_that_follow_from_the_rows_are_searched_around():
    filled = defaults.fill(resolved(), 300)
    space = build(filled, {})
    assert filled.config.training.epochs == 6
    assert space["training.epochs"] == Range(3, 12, log=False, whole=True)
    assert space["training.batch_size"] == Choice((8, 16, 32))
    assert "training.epochs" not in build(defaults.fill(resolved(epochs=2), 300), {})


def test_set_values_are_not_searched_by_default():
    assert "training.dropout" not in build(resolved(dropout=0.1), {})
    assert build(resolved(dropout=0.1), {"dropout": "0..0.2"})["training.dropout"] == Range(0, 0.2, False, False)
    assert build(resolved(), {"training.schedule": "linear|cosine"})["training.schedule"] == Choice(
        ("linear", "cosine")
    )


@pytest.mark.parametrize(
    ("given", "identifier"),
    [
        ({"learnin_rate": "1..2"}, "config.unknown-key"),
        ({"dropout": "0..1.5"}, "config.invalid-value"),
        ({"schedule": "linear|wavy"}, "config.invalid-value"),
    ],
)
def test_keys_and_values_are_checked_at_once(given, identifier):
    with refused(ConfigError, identifier, "--search"):
        build(resolved(), given)


@given(st.floats(0, 1))
def test_suggestions_lie_inside(share):
    trial = SimpleNamespace(
        suggest_categorical=lambda _key, values: values[round(share * (len(values) - 1))],
        suggest_int=lambda _key, low, high, log: low + round(share * (high - low)),
        suggest_float=lambda _key, low, high, log: low + share * (high - low),
    )
    values = suggest(trial, build(resolved(), {}))
    assert values["training.batch_size"] in (16, 32, 64)
    assert 1 <= values["training.epochs"] <= 6
    assert 2e-5 <= values["training.learning_rate"] <= 4e-4


def test_nested_values():
    assert nested(["a", "b"], 1) == {"a": {"b": 1}}
