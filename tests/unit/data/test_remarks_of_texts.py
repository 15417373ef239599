"""Columns of texts that are not used are named, where the choice was made by name."""

import pyarrow as pa
import pytest

from toolkit.data import remarks

TEXTS = [f"a sentence of words {number}" for number in range(10)]
ROWS = pa.table({"review": TEXTS, "summary": TEXTS[::-1], "stars": ["1", "2"] * 5, "_file": ["a b c"] * 10})


@pytest.mark.parametrize(
    ("used", "wanted", "named"),
    [
        ({"review", "stars"}, set(), True),
        ({"review", "stars"}, {"stars"}, True),
        ({"review", "stars"}, {"review"}, False),
        ({"review", "summary", "stars"}, set(), False),
        ({"stars"}, set(), False),  # no column of texts is used
    ],
)
def test_an_unused_column_of_texts_is_named(used, wanted, named):
    assert any("`summary`" in note for note in remarks.of_unused_texts(ROWS, used, wanted)) is named


def test_repeated_or_short_values_are_no_texts():
    rows = ROWS.append_column("shop", [["of many things here"] * 10]).append_column("code", [["a b"] * 10])
    (note,) = remarks.of_unused_texts(rows, {"review"}, set())
    assert "shop" not in note and "code" not in note
