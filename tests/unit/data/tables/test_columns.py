"""Columns are found under the names people give them, and their values are brought into one shape."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.data.tables import columns
from toolkit.data.tables.columns import find, take_roles
from toolkit.errors import DataError
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.inputs.words import WORDS
from toolkit.tasks.loading import KINDS
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.targets.token_labels import TOKEN_LABELS
from toolkit.tasks.task import Column

COLUMNS = (
    Column("text", ("text", "sentence", "review"), TEXT),
    Column("text_pair", ("text_pair", "sentence2"), TEXT, required=False),
    Column("label", ("label", "sentiment"), SINGLE_LABEL),
)


def fault(identifier, names, chosen=None) -> str:
    with refused(DataError, identifier) as caught:
        find(names, COLUMNS, chosen or {})
    return f"{caught.value.problem} {caught.value.fix}"


def coerce(values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Bring a column into the shape of a kind."""
    shaped: pa.ChunkedArray = KINDS[kind].in_shape(pa.table({"x": values}), "x")
    return shaped


def chunked(values, kind=None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


@pytest.mark.parametrize(
    ("names", "chosen", "roles"),
    [
        (["text", "label"], {}, {"text": "text", "label": "label"}),
        (["Review", "SENTIMENT"], {}, {"text": "Review", "label": "SENTIMENT"}),
        ([" text ", "label\t"], {}, {"text": " text ", "label": "label\t"}),
        (["review", "text", "label"], {}, {"text": "text", "label": "label"}),
        (["text", "Text", "label"], {}, {"text": "text", "label": "label"}),
        (["sentence", "sentence2", "label"], {}, {"text": "sentence", "text_pair": "sentence2", "label": "label"}),
        (["Review Text (EN)", "id", "star_sentiment"], {}, {"text": "Review Text (EN)", "label": "star_sentiment"}),
        (["review_id", "review_body", "my text", "label"], {}, {"text": "my text", "label": "label"}),
        (["a", "b"], {"text": "a", "label": "b"}, {"text": "a", "label": "b"}),
        (["text", "label", "x"], {"text": "x"}, {"text": "x", "label": "label"}),
        (["text", "label", "x"], {"label": "text", "text": "x"}, {"text": "x", "label": "text"}),
        (["text", "sentence"], {"label": " text "}, {"text": "sentence", "label": "text"}),
        ([" odd name", "label"], {"text": "odd name "}, {"text": " odd name", "label": "label"}),
        (["_file", "_row", "text", "label"], {}, {"text": "text", "label": "label"}),
    ],
)
def test_which_column_plays_which_role(names, chosen, roles):
    assert find(names, COLUMNS, chosen) == roles


@given(st.permutations(["text", "sentence", "review", "label", "sentiment", "id", "date"]))
def test_the_order_of_the_columns_decides_nothing(names):
    assert find(names, COLUMNS, {}) == {"text": "text", "label": "label"}


def test_one_column_never_plays_two_roles():
    both = (Column("text", ("text",), TEXT), Column("title", ("text", "title"), TEXT, required=False))
    assert find(["text", "title"], both, {}) == {"text": "text", "title": "title"}
    assert find(["text"], both, {}) == {"text": "text"}


def test_missing_column_lists_available_ones():
    message = fault("data.column-unrecognized", ["foo", "label", "_file", "_row"])
    assert "recognised as the text" in message
    assert "`foo`, `label`" in message
    assert "_file" not in message
    assert "--text-column COLUMN" in message
    assert "and 3 more" in fault("data.column-unrecognized", [f"column {n}" for n in range(15)])
    assert "no columns" in fault("data.column-unrecognized", [])


def test_a_word_that_two_columns_share_finds_neither():
    assert "recognised as the text" in fault("data.column-unrecognized", ["review_id", "review_body", "label"])


def test_words_in_a_first_row_of_data_are_no_names():
    names = ["17", "the content of it was fine", "first class"]
    with refused(DataError, "data.column-unrecognized") as caught:
        find(names, COLUMNS, {}, likely=["column_1", "text", "label"])
    assert "The first line looks like data" in str(caught.value)
    assert "data.column_names=[column_1, text, label]" in str(caught.value)


def test_a_column_that_plays_the_other_role_already_is_named():
    assert "`label` is already used as the text" in fault(
        "data.column-unrecognized", ["text", "label"], {"text": "label"}
    )


def test_a_misspelt_column_is_answered_with_the_nearest():
    message = fault("data.column-missing", ["comments", "label"], {"text": "coments"})
    assert "no column `coments` to use as the text" in message
    assert "Did you mean `comments`?" in message


def test_a_role_that_the_recipe_does_not_have():
    assert "no column `txt`" in fault("config.unknown-column-role", ["text", "label"], {"txt": "text"})


def test_roles_without_an_option_are_set_by_key():
    with refused(DataError, "data.column-unrecognized", "--set data.columns.words=COLUMN"):
        find(["x"], (Column("words", ("words",), WORDS),), {})


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["  a ", "b"], "text", ["  a ", "b"]),
        ([" a ", None], "label", ["a", None]),
        ([1, 2, None], "label", ["1", "2", None]),
        ([1.0, 2.5, None], "label", ["1", "2.5", None]),
        ([True, False], "label", ["true", "false"]),
        ([1, 2], "text", ["1", "2"]),
        (["two words", None], "words", [["two", "words"], None]),
        ([["two", "words"], []], "words", [["two", "words"], []]),
        ([["O", None, " B "]], "labels", [["O", "", "B"]]),
        ([[0, 3], [1]], "labels", [["0", "3"], ["1"]]),
        (["O B-PER", "O"], "labels", [["O", "B-PER"], ["O"]]),
    ],
)
def test_the_shape_of_each_kind(values, kind, expected):
    assert coerce(chunked(values), kind).to_pylist() == expected


@pytest.mark.parametrize("kind", ["text", "label"])
def test_the_same_values_in_another_type_are_the_same(kind):
    for type_ in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view()):
        values = (
            chunked(["a", None, "b"], pa.string()).cast(type_)
            if type_ != pa.string_view()
            else chunked(["a", None, "b"], type_)
        )
        assert coerce(values, kind).to_pylist() == ["a", None, "b"]


def test_values_in_several_chunks_keep_their_order():
    values = pa.chunked_array([pa.array(["a"]), pa.array(["b", None]), pa.array([], pa.string())])
    for kind in ("text", "label", "words"):
        assert len(coerce(values, kind)) == 3


def test_other_columns_stay_beside_the_roles():
    table = pa.table({"sentiment": ["good"], "text": ["T"], "label": ["not this"], "_row": [7]})
    taken = take_roles(table, {"text": "text", "label": "sentiment"}, COLUMNS)
    assert taken.to_pylist() == [{"text": "T", "label": "good", "other_label": "not this", "_row": 7}]


def test_no_column_takes_the_place_of_another():
    table = pa.table({"sentiment": ["good"], "text": ["T"], "label": ["a"], "other_label": ["b"]})
    for order in (table.column_names, table.column_names[::-1]):
        (taken,) = take_roles(table.select(order), {"text": "text", "label": "sentiment"}, COLUMNS).to_pylist()
        assert taken == {"text": "T", "label": "good", "other_other_label": "a", "other_label": "b"}


def test_exchanged_columns_are_suspected():
    few = pa.table({"text": ["good", "bad"] * 50, "label": [str(n) for n in range(100)]})
    many = pa.table({"text": [str(n) for n in range(100)], "label": ["good", "bad"] * 50})
    assert "swapped" in columns.suspect_swap(few, COLUMNS)
    assert columns.suspect_swap(many, COLUMNS) == ""


@pytest.mark.parametrize(
    ("value", "what", "role"),
    [({"en": "a"}, "objects", "text"), ({"en": "a"}, "objects", "label"), (["a"], "lists", "text"),
     ([[0, 5, 1]], "lists", "label"), ([{"start": 0}], "lists", "label")],
)  # fmt: skip
def test_objects_and_lists_are_no_texts_and_no_labels(value, what, role):
    columns = [Column("text", ("text",), TEXT), Column("label", ("label",), SINGLE_LABEL)]
    table = pa.table({name: [value if name == role else "a"] for name in ("text", "label")})
    with refused(DataError, "data.nested-column", f"`{role}`", what):
        take_roles(table, {"text": "text", "label": "label"}, columns)


# --- labels in lists ------------------------------------------------------------------------------------------------

LABEL = (Column("label", ("label",), SINGLE_LABEL),)


def labels_in(values, kind=None) -> list[str | None]:
    table = pa.table(
        {"label": pa.array(values, kind), "_file": ["a.csv"] * len(values), "_row": range(2, len(values) + 2)}
    )
    return take_roles(table, {"label": "label"}, LABEL)["label"].to_pylist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([["good"], ["bad"], [], None], ["good", "bad", None, None]),
        ([[1], [0]], ["1", "0"]),
        (['["good"]', "['bad']", ""], ["good", "bad", None]),
        (["[good]", "bad"], ["[good]", "bad"]),  # no list of quoted labels
        (["0.0", "1.0", "1", "10.50", "v1.0"], ["0", "1", "1", "10.50", "v1.0"]),
    ],
)
def test_list_of_one_label_is_unwrapped(values, expected):
    assert labels_in(values) == expected


@pytest.mark.parametrize("values", [[["a"], ["a", "b"]], ["['a']", "['a', 'b']"], [["a"], ["b", "a"], []]])
def test_several_labels_in_a_list_are_recognised_with_the_first_row(values):
    with refused(DataError, "label.several-in-a-row", f"1 of {len(values)} rows", "a.csv, row 3") as caught:
        labels_in(values)
    assert "data.label_map" in caught.value.fix


@pytest.mark.parametrize(
    ("kind", "cell", "expected"),
    [
        ("labels", "['O', 'B-PER']", ["O", "B-PER"]),
        ("labels", "['O' 'B-PER'\n 'O']", ["O", "B-PER", "O"]),
        ("labels", '["O", "B-PER"]', ["O", "B-PER"]),
        ("labels", "array(['O', 'B-PER'], dtype=object)", ["O", "B-PER"]),
        ("labels", "[0 3 1]", ["0", "3", "1"]),
        ("labels", "[O, B-PER]", ["O", "B-PER"]),
        ("words", "['a', ',', \"it's\", 'caf\\xe9']", ["a", ",", "it's", "café"]),
        ("words", "[]", []),
        ("words", "[laughs] yes [applause]", ["[laughs]", "yes", "[applause]"]),
        ("words", "[see below]", ["[see", "below]"]),
    ],
)
def test_lists_that_are_written_into_cells(kind, cell, expected):
    assert coerce(chunked([cell, None]), kind).to_pylist() == [expected, None]


@pytest.mark.parametrize("cell", ["['O', 'B-PER'", "['O' 'B-PER' ... 'O']", "['O', 'B-", "['O'] ['B']"])
def test_a_list_that_is_cut_short_is_refused_with_its_row(cell):
    table = pa.table({"labels": ["O O", cell], "_file": ["ner.csv"] * 2, "_row": [2, 3]})
    with refused(DataError, "data.malformed-list", "ner.csv, row 3", "`labels`"):
        take_roles(table, {"labels": "labels"}, (Column("labels", ("labels",), TOKEN_LABELS),))


def test_a_column_that_names_the_classes_is_never_the_text():
    names = ["headline", "label", "label_text"]
    assert "recognised as the text" in fault("data.column-unrecognized", names)
    assert find(["title", "title_text", "label"], COLUMNS, {}) == {"text": "title_text", "label": "label"}


@pytest.mark.parametrize(
    ("values", "kind", "form"),
    [
        ([0.0, 1.0, None], pa.float64(), ["0", "1", None]),
        ([0, 1, None], pa.int8(), ["0", "1", None]),
        (["0.0", " 1", None], pa.string(), ["0", "1", None]),
        (["0,0", "1,0", ""], pa.string(), ["0", "1", ""]),
        (["0,0", "1,5", None], pa.string(), ["0,0", "1,5", None]),
        ([False, True, None], pa.bool_(), ["false", "true", None]),
        (["False", "TRUE", None], pa.large_string(), ["false", "true", None]),
        (["cafe\u0301", "caf\u00e9", None], pa.string(), ["caf\u00e9", "caf\u00e9", None]),
    ],
)
def test_labels_have_one_form_in_every_format(values, kind, form):
    assert coerce(chunked(values, kind), "label").to_pylist() == form
    dictionary = chunked(values, kind).dictionary_encode()
    assert coerce(dictionary, "label").to_pylist() == form
    assert coerce(chunked([values]), "labels").to_pylist()[0][:1] == ["0,0" if values[0] == "0,0" else form[0]]


def test_words_stay_as_they_are():
    assert coerce(chunked([["True", "1.0", "cafe\u0301"]]), "words").to_pylist() == [["True", "1.0", "cafe\u0301"]]


def test_columns_are_found_in_either_normal_form():
    assert find(["caf\u00e9", "label"], COLUMNS, {"text": "cafe\u0301"})["text"] == "caf\u00e9"


@pytest.mark.parametrize(
    ("other", "taken"),
    [
        ("size", True),
        ("Grösse", True),
        ("valid", True),
        *((name, False) for name in ("id", "review_id", "reviewId", "UUID", "index", "Unnamed: 0", "")),
    ],
)
def test_the_only_other_column_is_the_label_unless_it_names_rows(other, taken):
    if taken:
        assert find(["text", other], COLUMNS, {}) == {"text": "text", "label": other}
    else:
        fault("data.column-unrecognized", ["text", other])
    fault("data.column-unrecognized", ["text", other, "other"])
