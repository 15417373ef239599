"""Numbers are read as they were meant, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.data.formats.written_numbers import number, numbers
from toolkit.errors import DataError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5), ("1,5", 1.5), (" -3 ", -3), ("\u22123,5", -3.5), ("1e3", 1000), (",5", 0.5), ("12 500", 12500),
        ("1\u202f234,5", 1234.5), ("1'234.5", 1234.5), ("3.50 €", None), ("80 %", None), ("", None), ("inf", None),
        ("nan", None), ("1,2,3", None),
    ],
)  # fmt: skip
def test_single_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1.006,74", "701,2", "1.234", None], [1006.74, 701.2, 1234, None]),
        (["1,010.79", "1,234", "12.5"], [1010.79, 1234, 12.5]),
        (["1.234.567", "1.234"], [1234567, 1234]),
        (["1.5", "1,5"], [1.5, 1.5]),
        (["0,125", "1,750"], [0.125, 1.75]),
        (["12,5", "1,234"], [12.5, 1.234]),
    ],
)
def test_all_numbers_of_a_column_are_written_in_one_way(texts, values):
    assert numbers(texts) == values


def test_commas_that_may_be_thousands_are_refused():
    with refused(DataError, "label.ambiguous-number", "1,234", "price"):
        numbers(["1,234", "999", "12,500"], "price")


@given(st.lists(st.floats(0.01, 10**6).map(lambda value: round(value, 2)), min_size=2, max_size=20))
def test_both_ways_of_writing_give_the_same(values):
    english = [f"{value:,.2f}" for value in values]
    german = [text.translate(str.maketrans(",.", ".,")) for text in english]
    if any(value >= 1000 for value in values):
        assert numbers(english) == values
    assert numbers(german) == values
