"""Values inside objects have names of their own, in rows as in tables."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.sources.row_formats import Row
from toolkit.data.tables import columns

KEYS = st.text("ab.", min_size=1, max_size=3)
OBJECTS = st.recursive(st.integers(0, 9), lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3))


@given(st.dictionaries(KEYS, OBJECTS, min_size=1, max_size=3))
def test_every_name_has_a_value(values):
    row = Row(values)
    assert all(row.value(name) is not None for name in row.names)
    assert row.value("c") is None


@pytest.mark.parametrize("name", ["text", "review.body", "review.by.name", "a.b.c"])
def test_rows_and_tables_agree(name):
    values = {"text": "x", "review": {"body": "good", "by": {"name": "Eve"}}, "a.b": {"c": "d"}}
    row, table = Row(values), columns.unfold(pa.Table.from_pylist([values]))
    assert name in row.names
    assert table[name].to_pylist() == [row.value(name)]
    assert (row.value("review.title"), row.value("review.body.x")) == (None, None)
