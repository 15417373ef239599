"""Layers, assignments and files: set values are read back, and every error is named."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tests.support.errors import refused
from toolkit import config
from toolkit.config import RunConfig, merge, resolve, validate
from toolkit.config.files import parse_assignments
from toolkit.errors import ConfigError

keys = st.text("abc", min_size=1, max_size=2)
leaf = st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
shallow = st.dictionaries(keys, leaf, max_size=3)
nested = st.dictionaries(keys, leaf | shallow | st.dictionaries(keys, shallow, max_size=2), max_size=3)


def refusal(identifier: str, *layers: config.Layer) -> str:
    with refused(ConfigError, identifier) as caught:
        resolve(layers)
    return caught.value.problem


# --- layers ---------------------------------------------------------------------------------------------------------


@given(nested, nested)
def test_merge_keeps_every_leaf_of_the_upper_layer(below, above):
    merged = dict(config.leaves(merge(below, above)))
    for path, value in config.leaves(above):
        if value != {}:
            assert merged[path] == value


@given(nested, nested, nested)
def test_merge_is_associative(one, two, three):
    assert merge(merge(one, two), three) == merge(one, merge(two, three)) or _replaces_a_mapping(one, two, three)


def _replaces_a_mapping(*layers):
    """A value in the place of a mapping ends it, so only layers of one shape can be grouped at will."""
    shapes = [{path[:n] for path, _ in config.leaves(layer) for n in range(1, len(path))} for layer in layers]
    values = [{path for path, value in config.leaves(layer)} for layer in layers]
    return any(values[i] & shapes[j] for i in range(3) for j in range(3))


@given(nested)
def test_merge_with_nothing_changes_nothing(values):
    assert merge(values, {}) == values
    assert merge({}, values) == values


@given(nested, nested)
def test_merge_leaves_its_arguments_alone(below, above):
    before = repr((below, above))
    merge(below, above)
    assert repr((below, above)) == before


@given(st.permutations(["recipe", "preset", "file", "--set", "flag"]), st.integers(1, 5))
def test_last_layer_takes_precedence(names, speaking):
    layers = [("command", {"recipe": "sentiment"})]
    layers += [(name, {"training": {"batch_size": number}}) for number, name in enumerate(names[:speaking], 1)]
    layers += [(name, {"training": {"seed": 5}}) for name in names[speaking:]]
    resolved = resolve(layers)
    assert resolved.config.training.batch_size == speaking
    assert resolved.origin("training.batch_size") == names[speaking - 1]
    assert resolved.origin("training.seed") == (names[-1] if names[speaking:] else "default")
    assert resolved.origin("training.epochs") == "default"


def test_values_found_out_in_the_run_are_marked_with_their_layer():
    resolved = resolve([("flag", {"recipe": "x", "training": {"seed": 3}})])
    result = resolved.with_values("model", {"training": {"learning_rate": 1e-3}})
    assert result.config.training.learning_rate == 1e-3
    assert result.config.training.seed == 3
    assert result.origin("training.learning_rate") == "model"
    assert result.origin("training.seed") == "flag"
    assert resolved.config.training.learning_rate is None


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dotted", "meant"),
    [
        ("training.learning_rte", "training.learning_rate"),
        ("training.epoch", "training.epochs"),
        ("learning_rate", "training.learning_rate"),
        ("batch_size", "training.batch_size"),
        ("trianing.epochs", "training"),
        ("modle", "model"),
        ("data.colums", "data.columns"),
        ("data.text_colum", "data.columns.text"),
        ("label_column", "data.columns.label"),
        ("evaluation.resample", "evaluation.resamples"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_nearest_name(dotted, meant):
    problem = refusal("config.unknown-key", ("--set", {"recipe": "x", **parse_assignments([f"{dotted}=1"])}))
    assert "unknown key" in problem
    assert f"Did you mean `{meant}" in problem


def test_unknown_key_without_a_near_name():
    assert "Did you mean" not in refusal("config.unknown-key", ("flag", {"recipe": "x", "zzzzqqqq": 1}))


def test_every_mistake_is_named_at_once_with_its_layer():
    problem = refusal(
        "config.invalid-value",
        ("recipe", {"recipe": "x", "training": {"epochs": -1}}),
        ("mine.yaml", {"training": {"schedule": "exponential", "learning_rte": 1}, "data": {"max_length": "long"}}),
        ("flag", {"evaluation": {"confidence": 95}}),
    )
    assert problem.startswith("5 values")
    for key, layer in {
        "training.epochs": "recipe",
        "training.schedule": "mine.yaml",
        "training.learning_rte": "mine.yaml",
        "data.max_length": "mine.yaml",
        "evaluation.confidence": "flag",
    }.items():
        assert f"`{key}` ({layer})" in problem
    assert "'linear', 'cosine', 'inverse-sqrt' or 'constant'" in problem


@pytest.mark.parametrize(
    "values",
    [
        {"training": {"epochs": float("nan")}},
        {"training": {"learning_rate": float("inf")}},
        {"training": {"learning_rate": 0}},
        {"training": {"seed": -1}},
        {"training": {"seed": 2**32}},
        {"training": {"batch_size": 2.5}},
        {"training": {"device": "tpu"}},
        {"data": {"validation_fraction": 0.5}},
        {"data": {"max_train_rows": 1}},
        {"data": None},
        {"training": {"freeze": 0}},
        {"training": {"freeze": True}},
        {"training": {"freeze": "layer.[0"}},
        {"training": {"freeze": [1, 2]}},
        {"training": {"ema_decay": 1}},
        {"loss": {"class_weights": "balancd"}},
        {"loss": {"class_weights": {"a": -1, "b": 1}}},
        {"loss": {"class_weights": {"a": 0}}},
        {"loss": {"class_weights": {"a": "much"}}},
        {"adapter": {"kind": "qlora"}},
        {"training": 5},
        {"model": 5},
    ],
)
def test_values_out_of_range_are_refused(values):
    assert refusal("config.invalid-value", ("flag", {"recipe": "x", **values})).startswith("One value")


def test_a_misspelt_section_names_its_layer_too():
    assert "unknown key `trianing` (file mine.yaml)" in refusal(
        "config.invalid-value", ("file mine.yaml", {"trianing": {"epochs": 1}})
    )


@pytest.mark.parametrize("section", ["label_map", "where"])
def test_a_bare_null_as_a_key_is_explained(section):
    problem = refusal("config.invalid-value", ("--set", {"recipe": "x", "data": {section: {None: "good"}}}))
    assert f'`data.{section}` (--set): a bare null is no name; write "null" in quotes' in problem


def test_a_text_where_a_mapping_is_needed_is_explained():
    problem = refusal("config.invalid-value", ("--set", {"recipe": "x", "data": {"label_map": "good"}}))
    assert "`data.label_map` (--set): keys with values are needed, {KEY: VALUE}, got 'good'" in problem


def test_values_of_more_than_one_kind():
    def read(*assignments):
        return resolve([("command", {"recipe": "x"}), ("--set", parse_assignments(assignments))]).config

    assert [read(f"training.freeze={what}").training.freeze for what in (6, "embeddings", "null")] == [
        6,
        "embeddings",
        None,
    ]
    assert read(r"training.freeze=layer\.[0-3]\.").training.freeze == r"layer\.[0-3]\."
    assert read("loss.class_weights=balanced").loss.class_weights == "balanced"
    assert read("loss.class_weights={1: 2, false: 0.5}").loss.class_weights == {"1": 2.0, "false": 0.5}
    assert read('loss.class_weights."4.5"=3').loss.class_weights == {"4.5": 3.0}
    message = refusal("config.invalid-value", ("flag", {"recipe": "x", "training": {"freeze": 0}}))
    assert "must be a number of layers (at least 1), embeddings, trunk, or a regular expression, got 0" in message


def test_the_recipes_own_keys_are_checked_and_filled_in():
    class Options(BaseModel, extra="forbid"):
        beams: int = Field(4, description="Beams of the search")
        metric: Literal["BLEU", "chrF"] = "BLEU"

    assert config.validate_options(Options, {"beams": 2}) == {"beams": 2, "metric": "BLEU"}
    with refused(ConfigError, "config.invalid-value") as caught:
        config.validate_options(Options, {"beam": 2, "metric": "bleu"})
    assert "unknown key `options.beam`. Did you mean `options.beams`?" in caught.value.problem
    assert "'BLEU' or 'chrF'" in caught.value.problem  # as it must be written
    with refused(ConfigError, "config.unknown-key", "`options.beam` (file mine.yaml)"):
        config.validate_options(Options, {"beam": 2}, {"options.beam": "file mine.yaml"})
    as_typed = "`options.beams` (--beams or --set)"  # the two are one on arrival
    with refused(ConfigError, "config.invalid-value", as_typed):
        config.validate_options(Options, {"beams": "x"}, {"options.beams": "--set"})


def test_every_key_has_a_description():
    described = dict(config.describe())
    assert {"recipe", "data.source", "training.learning_rate", "evaluation.confidence"} <= described.keys()
    assert len(described) >= 40
    assert [key for key, meaning in described.items() if len(meaning) < 10] == []
    known = {".".join(path) for path, _ in config.leaves(RunConfig(recipe="x").model_dump())}
    assert described.keys() == known


def test_the_configuration_cannot_be_changed_afterwards():
    resolved = validate({"recipe": "x"})
    with pytest.raises(ValueError, match="frozen"):
        resolved.training.seed = 3


def test_labels_are_their_written_form():
    read = validate({"recipe": "x", "data": {"label_map": {1: "good", "2": None, 4.5: True, False: 0}}})
    assert read.data.label_map == {"1": "good", "2": None, "4.5": "true", "false": "0"}


def test_rare_labels_are_merged_below_a_number_of_rows():
    with refused(ConfigError, "config.invalid-value", "min_label_rows"):
        resolve([("--set", {"recipe": "x", "data": {"rare_labels": "merge"}})])
    values = {"recipe": "x", "data": {"rare_labels": "merge", "min_label_rows": 5}}
    assert resolve([("--set", values)]).config.data.min_label_rows == 5
