"""Layers, assignments and files: what is set is what is read, and every mistake is named."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from toolkit import config
from toolkit.config import RunConfig, merge, parse_assignments, resolve, validate
from toolkit.errors import ConfigError

keys = st.text("abc", min_size=1, max_size=2)
leaf = st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=3), st.lists(st.integers(), max_size=2))
shallow = st.dictionaries(keys, leaf, max_size=3)
nested = st.dictionaries(keys, leaf | shallow | st.dictionaries(keys, shallow, max_size=2), max_size=3)
written_words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8) | st.sampled_from(
    [
        "yes",
        "no",
        "on",
        "off",
        "null",
        "true",
        "False",
        "1e-4",
        "0123",
        "1_000",
        "12:30",
        "2024-01-01",
        "~",
        "|",
        "#",
        "=",
        "<<",
    ]
)


def refusal(*layers: config.Layer) -> str:
    with pytest.raises(ConfigError) as caught:
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
def test_the_last_layer_that_speaks_decides(names, speaking):
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
    found = resolved.with_values("model", {"training": {"learning_rate": 1e-3}})
    assert found.config.training.learning_rate == 1e-3
    assert found.config.training.seed == 3
    assert found.origin("training.learning_rate") == "model"
    assert found.origin("training.seed") == "flag"
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
        ("evaluation.resample", "evaluation.resamples"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_nearest_name(dotted, meant):
    problem = refusal(("--set", {"recipe": "x", **parse_assignments([f"{dotted}=1"])}))
    assert "unknown key" in problem
    assert f"Did you mean `{meant}" in problem


def test_a_key_that_resembles_nothing_is_refused_without_a_guess():
    assert "Did you mean" not in refusal(("flag", {"recipe": "x", "zzzzqqqq": 1}))


def test_every_mistake_is_named_at_once_with_its_layer():
    problem = refusal(
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
    assert "'linear', 'cosine' or 'constant'" in problem


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
        {"training": 5},
        {"model": 5},
    ],
)
def test_values_out_of_range_are_refused(values):
    assert refusal(("flag", {"recipe": "x", **values})).startswith("One value")


def test_the_recipes_own_keys_are_checked_and_filled_in():
    class Options(BaseModel, extra="forbid"):
        beams: int = Field(4, description="Beams of the search")
        metric: Literal["BLEU", "chrF"] = "BLEU"

    assert config.validate_options(Options, {"beams": 2}) == {"beams": 2, "metric": "BLEU"}
    with pytest.raises(ConfigError) as caught:
        config.validate_options(Options, {"beam": 2, "metric": "bleu"})
    assert "unknown key `options.beam`. Did you mean `options.beams`?" in caught.value.problem
    assert "'BLEU' or 'chrF'" in caught.value.problem  # as it must be written


def test_every_key_says_what_it_means():
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


# --- assignments ----------------------------------------------------------------------------------------------------


@given(st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_assigned_plain_values_come_back(value):
    written = {"True": "true", "False": "false", "None": "null"}.get(repr(value), repr(value))
    read = parse_assignments([f"a.b={written}"])["a"]["b"]
    assert read == value
    assert type(read) is type(value)


@given(
    st.lists(
        st.text(st.characters(exclude_characters='"', exclude_categories=["C"]), max_size=6), min_size=1, max_size=3
    )
)
def test_quoted_keys_may_hold_anything_but_quotes(parts):
    dotted = ".".join(f'"{part}"' for part in parts)
    expected = "x"
    for part in reversed(parts):
        expected = {part: expected}
    assert parse_assignments([f"{dotted}=x"]) == expected


@given(written_words)
def test_words_stay_the_words_they_are(word):
    """Only the plain words that YAML 1.2 gives a meaning change; a label keeps its spelling."""
    meanings = {"null": None, "~": None, "true": True, "False": False, "1e-4": 1e-4}
    read = parse_assignments([f"a={word}"])["a"]
    if isinstance(read, str):
        assert read == word or word[0] in "'\"!&*|>"
    elif word in meanings:
        assert read == meanings[word]
    else:
        assert not isinstance(read, bool)


@pytest.mark.parametrize(
    "word", ["yes", "no", "on", "off", "y", "No", "0123", "1_000", "12:30", "2024-01-01", "|", "#", ",", ";", "%", "="]
)
def test_words_that_yaml_used_to_read_as_something_else(word):
    assert parse_assignments([f"data.where.x={word}"]) == {"data": {"where": {"x": word}}}
    resolve(
        [("flag", {"recipe": "x"}), ("--set", parse_assignments([f"data.label_map.{word.replace('=', 'a')}={word}"]))]
    )


def test_assignments_are_merged_in_their_order():
    read = parse_assignments(
        [
            "training.epochs=2",
            'data.label_map."4.5"=good',
            "training.seed=1",
            "training.epochs=1e1",
            "output=a=b",
            "model=",
        ]
    )
    assert read == {
        "training": {"epochs": 10.0, "seed": 1},
        "data": {"label_map": {"4.5": "good"}},
        "output": "a=b",
        "model": "",
    }


@pytest.mark.parametrize("assignment", ["training.epochs", "=5", " = 5", ".=5", "", 'data."x=5', "..="])
def test_what_is_no_assignment_is_refused(assignment):
    with pytest.raises(ConfigError, match="is not KEY=VALUE"):
        parse_assignments([assignment])


def test_labels_are_their_written_form():
    read = validate({"recipe": "x", "data": {"label_map": {1: "good", "2": None, 4.5: True, False: 0}}})
    assert read.data.label_map == {"1": "good", "2": None, "4.5": "true", "false": "0"}


# --- files ----------------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(written_words, written_words | st.none(), max_size=4),
    st.dictionaries(written_words, written_words, max_size=3),
    st.floats(1e-12, 0.9),
    st.text(max_size=10),
)
def test_the_written_configuration_reads_back_to_the_same(tmp_path_factory, label_map, where, rate, output):
    original = validate(
        {
            "recipe": "x",
            "output": output,
            "data": {"label_map": label_map, "where": where},
            "training": {"learning_rate": rate},
        }
    )
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    path.write_text(config.to_yaml(original), encoding="utf-8")
    assert validate(config.read_file(path)) == original


def test_labels_in_a_file_are_the_words_that_stand_there(write):
    path = write("mine.yaml", "data:\n  label_map: {yes: good, no: bad, 1: good, on: 2024-01-01}\n")
    read = resolve([("flag", {"recipe": "x"}), ("file", config.read_file(path))]).config.data.label_map
    assert read == {"yes": "good", "no": "bad", "1": "good", "on": "2024-01-01"}


def test_an_empty_file_sets_nothing(write):
    assert config.read_file(write("mine.yaml", "# nothing yet\n")) == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("training:\n  epochs: 2\n bad: [", "line 3 is not valid YAML"),
        ("- a\n- b\n", "holds a list"),
        ("just words\n", "holds a str"),
        ("!!python/object/apply:os.getcwd []\n", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_configuration(write, content, said):
    with pytest.raises(ConfigError, match=said):
        config.read_file(write("mine.yaml", content))


def test_a_file_that_cannot_be_read(tmp_path, write):
    with pytest.raises(ConfigError, match="No such file"):
        config.read_file(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"model: caf\xe9\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        config.read_file(tmp_path / "latin.yaml")
