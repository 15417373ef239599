"""Labels as written become class numbers, and class numbers keep their names."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.data.tables import labels
from toolkit.errors import CallError
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.targets.token_labels import TOKEN_LABELS

NAMES = {2: ("negative", "positive"), 3: ("negative", "neutral", "positive")}
words = st.text(st.characters(exclude_categories=["C"], exclude_characters=" "), min_size=1, max_size=5)
written = st.lists(words | st.sampled_from(["nan", "inf", "-1", "10", "9", "1e3"]), unique=True, min_size=1, max_size=8)


def column(values, kind=None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind or pa.string())])


def fault(identifier, function, *arguments) -> str:
    with refused(CallError, identifier) as caught:
        function(*arguments)
    return f"{caught.value.problem} {caught.value.fix}"


# --- naming ---------------------------------------------------------------------------------------------------------


@given(st.data(), written)
def test_the_order_in_which_labels_are_seen_decides_nothing(data, seen):
    other = data.draw(st.permutations(seen))
    assert list(labels.name_classes(seen, {}, NAMES).items()) == list(labels.name_classes(other, {}, NAMES).items())


@pytest.mark.parametrize(
    ("seen", "mapping"),
    [
        (["1", "0"], {"0": "negative", "1": "positive"}),
        (["2", "1", "0"], {"0": "negative", "1": "neutral", "2": "positive"}),
        (["1", "2"], {"1": "1", "2": "2"}),  # not 0 to n-1: their meaning is unknown
        (["0", "1", "2", "3"], {"0": "0", "1": "1", "2": "2", "3": "3"}),
        (["pos", "neg"], {"neg": "neg", "pos": "pos"}),
        (["10", "9", "-1"], {"-1": "-1", "9": "9", "10": "10"}),
        (["nan", "b", "1"], {"1": "1", "b": "b", "nan": "nan"}),
    ],
)
def test_names_without_a_mapping(seen, mapping):
    assert list(labels.name_classes(seen, {}, NAMES).items()) == list(mapping.items())


def test_a_mapping_renames_merges_drops_and_orders():
    mapping = {"5": "good", "4": "good", "1": "bad", "3": None, "9": "unseen"}
    named = labels.name_classes(["1", "3", "4", "5"], mapping, NAMES)
    assert named == {"5": "good", "4": "good", "1": "bad", "3": None}
    assert labels.class_names(named) == ("good", "bad")


@pytest.mark.parametrize(
    ("written", "label_map", "classes"),
    [
        (["neg", "pos", "unsup"], {}, {"neg": "neg", "pos": "pos", "unsup": None}),
        (["neg", "unsup"], {"neg": "neg", "unsup": "unsup"}, {"neg": "neg", "unsup": "unsup"}),
    ],
)
def test_missing_label_markers_are_no_class(written, label_map, classes):
    assert list(labels.name_classes(written, label_map, NAMES).items()) == list(classes.items())


def test_the_order_of_the_data_comes_first():
    assert list(labels.name_classes(["b", "a", "c"], {}, {}, ["c", "b"])) == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("counted", "without"),
    [({}, True), ({"-1": 9}, True), ({"-1": 9, "1": 1}, False), ({"2": 9}, False), ({"unlabeled": 3, "?": 1}, True)],
)
def test_a_held_out_part_without_labels(counted, without):
    assert labels.has_none(counted, {"0": 5, "1": 5}) == without
    assert not labels.has_none({"-1": 9}, {"-1": 5, "1": 5})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([str(n / 7) for n in range(30)], True),
        ([str(n) for n in range(30)], True),
        ([str(n) for n in range(10)], False),
        (["a", *map(str, range(30))], False),
    ],
)
def test_many_numbers_may_be_amounts(names, expected):
    assert bool(labels.amounts(names)) == expected


def test_a_label_that_is_a_target_needs_no_line_of_its_own():
    named = labels.name_classes(["good", "great"], {"great": "good"}, {})
    assert labels.class_names(named) == ("good",)


def test_a_label_outside_the_mapping_is_refused():
    said = fault("label.not-mapped", labels.name_classes, ["a", "b", "c"], {"a": "x"}, {})
    assert "`b`, `c` are labels in the data but not in the mapping" in said
    assert """--set 'data.label_map={"b": NAME}'""" in said
    assert "null in place of NAME" in said
    assert "Did you mean `positive` by `positve`?" in fault(
        "label.not-mapped", labels.name_classes, ["positive", "bad"], {"positve": "x", "bad": "y"}, {}
    )
    assert "`b` is a label" in fault("label.not-mapped", labels.name_classes, ["a", "b"], {"a": "x"}, {})


# --- numbering ------------------------------------------------------------------------------------------------------


@given(st.lists(words | st.none(), max_size=30), st.integers(0, 3))
def test_encoded_labels_decode_to_what_was_written(values, cut):
    kept = [value for value in values if value is not None]
    mapping = labels.name_classes(list(dict.fromkeys(kept)), {}, {})
    split = pa.chunked_array([pa.array(values[:cut], pa.string()), pa.array(values[cut:], pa.string())])
    numbers = labels.encode(split, mapping, SINGLE_LABEL.kept)
    names = labels.class_names(mapping)
    assert [None if n is None else names[n] for n in numbers.to_pylist()] == values
    assert numbers.type == pa.int64()


@pytest.mark.parametrize(
    ("written", "label_map", "said"),
    [
        (["Good", "good", "bad"], {}, "differ only in capitalization"),
        (["good", "bad", "NA"], {}, "looks like a missing value"),
        (["good", "bad", "#N/A"], {}, "looks like a missing value"),
        (["good", "sport;cars"], {}, "Label `sport;cars` may be several labels in one cell"),
        (["good", "sport;cars"], {"good": "good", "sport;cars": "both"}, None),
        (["good", "bad;"], {}, None),
        (["good", "bad"], {}, None),
        (["-1", "0", "1", "2"], {}, '{"-1": null, "0": "0", "1": "1", "2": "2"}'),
        (["-1", "1"], {}, None),
        ([str(n / 4) for n in range(40)], {}, "If they are quantities"),
        ([str(n) for n in range(40)], {}, None),
        (["Good", "good", "NA"], {"Good": "good", "NA": None}, None),
    ],
)
def test_labels_that_are_hardly_meant_are_named(written, label_map, said):
    mapping = labels.name_classes(written, label_map, {})
    result = labels.hints(dict.fromkeys(written, 1), mapping, label_map)
    assert [text for text in result if said is None or said not in text] == []
    assert len(result) == (said is not None)


@given(st.lists(st.lists(words, max_size=4) | st.none(), max_size=10))
def test_encoded_lists_of_labels_decode_to_what_was_written(rows):
    seen = list(dict.fromkeys(label for row in rows if row for label in row))
    mapping = labels.name_classes(seen, {}, {})
    names = labels.class_names(mapping)
    encoded = labels.encode(column(rows, pa.list_(pa.string())), mapping, TOKEN_LABELS.kept).to_pylist()
    assert [None if row is None else [names[n] for n in row] for row in encoded] == rows


def test_dropped_and_unknown_labels_become_null():
    mapping = {"a": "x", "b": None}
    kept = SINGLE_LABEL.kept
    assert labels.encode(column(["a", "b", "c", None]), mapping, kept).to_pylist() == [0, None, None, None]
    assert labels.encode(column(["a", "b"]), {"a": None, "b": None}, kept).to_pylist() == [None, None]


def test_a_list_loses_a_dropped_label_unless_its_labels_belong_to_words():
    mapping = {"c": "y", "a": "x", "A": "x", "b": None}
    lists = column([["a", "a"], ["a", "b"], ["b"], [], ["A", "c", "a"], None], pa.list_(pa.string()))
    several = labels.encode(lists, mapping, SINGLE_LABEL.kept).to_pylist()
    assert several == [[1], [1], None, [], [0, 1], None]
    by_word = labels.encode(lists, mapping, TOKEN_LABELS.kept).to_pylist()
    assert by_word == [[1, 1], None, None, [], [1, 0, 1], None]


def test_counts_exclude_only_empty_labels():
    assert labels.counts(column(["a", "b", "a", None, ""])) == {"a": 2, "b": 1}
    assert labels.counts(column([["a", "b"], [], None, ["a", ""]], pa.list_(pa.string()))) == {"a": 2, "b": 1}
    assert labels.counts(column([])) == {}


# --- a trained model's classes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mapping", "trained", "matched"),
    [
        ({"pos": "pos", "neg": "neg"}, ("neg", "pos"), {"pos": "pos", "neg": "neg"}),
        ({"POS": "POS"}, ("neg", "pos"), {"POS": "pos"}),
        ({"a": "a", "A": "A"}, ("A", "a"), {"a": "a", "A": "A"}),
        ({"0": "negative", "1": "positive"}, ("positive", "negative"), {"0": "negative", "1": "positive"}),
        ({"neg": "neg", "pos": "pos"}, ("LABEL_0", "LABEL_1"), {"neg": "LABEL_0", "pos": "LABEL_1"}),
        ({"5": "pos", "3": None}, ("neg", "pos"), {"5": "pos", "3": None}),
    ],
)
def test_the_datas_classes_are_matched_by_name(mapping, trained, matched):
    assert labels.match_model(mapping, trained) == matched


@pytest.mark.parametrize(
    ("mapping", "trained"),
    [
        ({"0": "good", "1": "bad"}, ("neg", "pos")),
        ({"1": "1"}, ("LABEL_0", "LABEL_1")),
        ({"0": "0", "1": "1", "2": "2"}, ("LABEL_0", "LABEL_1")),
        ({"neg": "neg", "odd": "odd"}, ("neg", "pos")),
    ],
)
def test_classes_that_do_not_match_are_shown_side_by_side(mapping, trained):
    message = fault("label.not-of-model", labels.match_model, mapping, trained)
    assert ", ".join(labels.class_names(mapping)) in message
    assert ", ".join(trained) in message
    assert "data.label_map={" in message


@pytest.mark.parametrize("written", [["1"], ["0"], ["0", "1", "2"]])
def test_numbers_match_only_by_order(written):
    message = fault(
        "label.not-of-model", labels.match_model, {label: label for label in written}, ("bad", "odd", "good")
    )
    assert 'data.label_map={"0": "bad", "1": "odd", "2": "good"}' in message


def test_a_model_without_classes_is_refused():
    assert "not fine-tuned" in fault("model.not-fine-tuned", labels.match_model, {"a": "a"}, ())


@pytest.mark.parametrize(
    ("written", "trained", "matched"),
    [
        (["1"], ("Negative", "Positive"), {"1": "Positive"}),  # one class alone, read as both would be
        (["1", "0"], ("negative", "positive"), {"0": "negative", "1": "positive"}),
        (["0", "1"], ("positive", "negative"), None),  # a model that was trained on the other order
        (["0", "1"], ("bad", "good"), None),
        (["2"], ("LABEL_0", "LABEL_1", "LABEL_2"), {"2": "LABEL_2"}),
        (["3"], ("LABEL_0", "LABEL_1", "LABEL_2"), None),
        (["positive"], ("negative", "positive"), None),
    ],
)
def test_numbers_are_matched_where_their_meaning_is_known(written, trained, matched):
    assert labels.match_numbers(written, trained, NAMES[2]) == matched


@pytest.mark.parametrize(
    ("label_map", "written", "names"),
    [
        ({}, ["0", "1"], ("negative", "positive")),  # by order
        ({"bad": "LABEL_1", "good": "LABEL_0"}, ["bad", "good"], ("good", "bad")),
        ({"bad": "LABEL_0", "awful": "LABEL_0", "good": "LABEL_1"}, ["bad", "awful", "good"], ("LABEL_0", "good")),
    ],
)
def test_a_models_placeholders_take_the_names_of_the_data(label_map, written, names):
    trained = ("LABEL_0", "LABEL_1")
    classes = labels.name_classes(written, label_map, {2: ("negative", "positive")})
    by_number = None if label_map else labels.match_numbers(written, trained, ())
    matched = by_number or labels.match_model(classes, trained)
    assert labels.name_placeholders(classes, matched, trained) == names
    assert labels.name_placeholders(classes, matched, ("sad", "glad")) == ("sad", "glad")


def test_a_model_that_wrote_its_labels_otherwise_is_matched():
    trained = ["True", "cafe\u0301", "2.0"]
    mapping = {"true": "true", "caf\u00e9": "caf\u00e9", "2": "2"}
    assert labels.match_model(mapping, trained) == dict(zip(mapping, trained, strict=True))
    assert labels.match_model({"Caf\u00e9": "CAF\u00c9"}, trained) == {"Caf\u00e9": "cafe\u0301"}


@pytest.mark.parametrize(
    ("label", "place"),
    [("3", 3), ("4.5", 4.5), ("4 stars", 4), ("1 Star", 1), ("3/5", 3), ("★★★★☆", 4), ("☆☆☆", 0), ("2 out of 5", 2),
     ("good", None), ("4 walls", None), ("★ good", None)],
)  # fmt: skip
def test_ranks_that_a_label_tells(label, place):
    assert labels.rank(label) == place
