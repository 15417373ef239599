"""Several labels in one cell are distinguished from labels with a comma in their names."""

import pytest

from toolkit.data.formats import cells


@pytest.mark.parametrize(
    ("labels", "sign"),
    [
        (["sport;cars", "sport", "cars", "news;sport"], ";"),
        (["food|room", "food", "room|staff", "staff"], "|"),
        (["a, b", "b", "a, c", "c, b"], ","),
        (["good", "bad"], None),
        (["Arts, Culture", "Law, State", "Sports"], None),
        (["Electronics, Phones", "Electronics, Laptops", "Home, Kitchen"], None),
        (["company, large", "company, small", "person, large", "person, small"], None),
        (["Sci/Tech", "World"], None),
    ],
)
def test_label_separator_is_detected(labels, sign):
    assert cells.separator(labels) == sign


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (r"""['a\\b', "c\n", 'it\'s']""", ["a\\b", "c\n", "it's"]),
        ('["caf\\u00e9", "\\ud83d\\ude00"]', ["café", "\U0001f600"]),
        ("[ 'a' , 'b' ]", ["a", "b"]),
        ("plain text", None),
        ("[a, b]", None),
    ],
)
def test_items_of_a_list(text, items):
    assert cells.items(text) == items


def test_long_cells_take_no_longer_than_their_length():
    assert cells.items("[" + "a" * 200_000 + "'") is None
    with pytest.raises(cells.BrokenListError):
        cells.items("['a'" + " 'b" * 100_000)
