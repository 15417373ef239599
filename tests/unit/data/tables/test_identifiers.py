"""Columns that number rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.tables import identifiers


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("id", True),
        ("user_id", True),
        ("reviewId", True),
        ("Unnamed: 0", True),
        ("index", True),
        ("", True),
        ("__index_level_0__", True),
        ("level_0", True),
        ("paid", False),
        ("idea", False),
        ("level", False),
    ],
)
def test_names_of_identifiers(name, wanted):
    assert identifiers.by_name(name) is wanted


def table(values, rows, files=None):
    return pa.table({"n": values, "_file": files or ["a.csv"] * len(rows), "_row": rows})


@given(st.lists(st.integers(1, 5), min_size=4, max_size=60), st.data())
def test_an_index_is_found_in_any_rows_of_a_file_whose_rows_have_any_number_of_lines(lines, data):
    places = np.cumsum(lines)
    kept = data.draw(st.permutations(range(len(lines))))[: data.draw(st.integers(3, len(lines)))]
    rows = table(np.arange(len(lines))[kept] + data.draw(st.integers(-9, 9)), places[kept])
    assert identifiers.is_index(rows, "n")


def test_an_index_begins_again_in_each_file():
    files = ["a.csv"] * 3 + ["b.csv"] * 3
    assert identifiers.is_index(table([0, 1, 2, 0, 1, 2], [2, 3, 4, 2, 3, 4], files), "n")
    assert not identifiers.is_index(table([0, 1, 2, 0, 1, 1], [2, 3, 4, 2, 3, 4], files), "n")


@pytest.mark.parametrize("values", [[3, 2, 1, 0], [1, 1, 2, 3], [1, 5, 9, 20], [0.0, 1.0, 2.0, 3.0], [0, None, 2, 3]])
def test_other_numbers_are_no_index(values):
    assert not identifiers.is_index(table(values, [1, 2, 3, 4]), "n")
