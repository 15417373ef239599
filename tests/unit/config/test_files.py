"""Assignments and files: what is written is what is read, and errors name their line."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.config import resolve, validate
from toolkit.config.files import parse_assignments, read_file, to_yaml
from toolkit.errors import ConfigError

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
def test_malformed_assignment_is_rejected(assignment):
    with refused(ConfigError, "config.malformed-assignment", "KEY=VALUE"):
        parse_assignments([assignment])


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
    path.write_text(to_yaml(original), encoding="utf-8")
    assert validate(read_file(path)) == original


@pytest.mark.parametrize(
    "value", ["{positive: good, negative: bad", "positive: good, negative: bad}", "{a: b, a: c}", "{a: b} c"]
)
def test_a_map_that_is_not_closed_is_no_text(value):
    with refused(ConfigError, "config.malformed-assignment", "data.label_map") as caught:
        parse_assignments([f"data.label_map={value}"])
    assert "single quotes" in caught.value.fix


def test_quoted_and_bare_key_are_duplicates(write):
    with refused(ConfigError, "config.invalid-yaml", "line 1", "`1`"):
        read_file(write("mine.yaml", "{1: a, '1': b}\n"))


def test_labels_in_a_file_stay_words(write):
    path = write("mine.yaml", "data:\n  label_map: {yes: good, no: bad, 1: good, on: 2024-01-01}\n")
    read = resolve([("flag", {"recipe": "x"}), ("file", read_file(path))]).config.data.label_map
    assert read == {"yes": "good", "no": "bad", "1": "good", "on": "2024-01-01"}


def test_an_empty_file_sets_nothing(write):
    assert read_file(write("mine.yaml", "# nothing yet\n")) == {}


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        ("training:\n  epochs: 2\n bad: [", "line 3"),
        ("training: [1\n", "line 1 is not valid YAML: expected ',' or ']'"),
        ("training:\n  epochs: 1\n  seed: 2\n  epochs: 3\n", "line 4 is not valid YAML: the key `epochs`"),
        ("data:\n  label_map: {a: b, a: c}\n", "line 2 is not valid YAML: the key `a`"),
        ("- a\n- b\n", "list"),
        ("just words\n", "str"),
        ("!!python/object/apply:os.getcwd []\n", "line 1"),
    ],
)
def test_a_file_that_is_no_configuration(write, content, fact):
    with refused(ConfigError, "config.invalid-yaml", "mine.yaml", fact):
        read_file(write("mine.yaml", content))


def test_a_file_that_cannot_be_read(tmp_path, write):
    with refused(ConfigError, "config.file-unreadable", "absent.yaml", "No such file"):
        read_file(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"model: caf\xe9\n")
    with refused(ConfigError, "config.invalid-yaml", "latin.yaml"):
        read_file(tmp_path / "latin.yaml")


@pytest.mark.parametrize("text", ["a: " + "[" * 5000 + "]" * 5000, "a: " + "[" * 200 + "]" * 200])
def test_a_file_that_nests_too_deeply_is_refused(write, text):
    with refused(ConfigError, "config.nested-too-deeply", "deep.yaml"):
        read_file(write("deep.yaml", text))
    with refused(ConfigError, "config.nested-too-deeply", "options.x"):
        parse_assignments([f"options.x={text.removeprefix('a: ')}"])


def test_aliases_that_multiply_are_refused_at_once(write):
    names = "abcdefghijkl"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in itertools.pairwise(names)]
    with refused(ConfigError, "config.nested-too-deeply", "bomb.yaml"):
        read_file(write("bomb.yaml", "\n".join(lines)))
    assert read_file(write("fine.yaml", "a: &a [1]\nb: *a\n")) == {"a": [1], "b": [1]}
