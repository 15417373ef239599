"""Equal values give equal digests for every storage, and every change changes them."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.tables.digest import table_digest

words = st.one_of(st.none(), st.text(max_size=4))
columns = st.lists(st.tuples(words, st.one_of(st.none(), st.integers(-2, 2)), st.lists(words, max_size=3)), max_size=8)


def table(rows) -> pa.Table:
    text, number, lists = zip(*rows, strict=True) if rows else ((), (), ())
    schema = pa.schema({"text": pa.string(), "number": pa.int64(), "words": pa.list_(pa.string())})
    return pa.table({"text": list(text), "number": list(number), "words": list(lists)}, schema=schema)


def digest(rows: pa.Table) -> str:
    return table_digest(rows, rows.column_names)


@given(columns, st.integers(0, 8))
def test_chunks_slices_and_wide_types_change_nothing(rows, cut):
    whole = table(rows)
    pieces = pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])
    padded = pa.concat_tables([table([("x", 1, ["y"])]), whole]).combine_chunks().slice(1)
    wide = whole.set_column(0, "text", whole["text"].cast(pa.large_string()))
    coded = whole.set_column(0, "text", whole["text"].dictionary_encode())
    assert len({digest(each) for each in (whole, pieces, padded, wide, coded)}) == 1


@given(columns, columns)
def test_different_values_give_different_digests(one, other):
    assert (digest(table(one)) == digest(table(other))) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        (["", None], [None, ""]),
        ([["a"], ["b"]], [["a", "b"], []]),
        ([1.5, 2.0], [1.5, 2.5]),
        ([True, False], [True, True]),
        ([-1, 0], [None, 0]),
        ([b"a"], ["a"]),
        ([{"a": 1}], [{"a": 2}]),
    ],
)
def test_similar_tables_have_different_digests(one, other):
    assert digest(pa.table({"x": one})) != digest(pa.table({"x": other}))


def test_names_and_order_count():
    both = pa.table({"a": ["x"], "b": ["x"]})
    assert table_digest(both, ["a"]) != table_digest(both, ["b"])
    assert table_digest(both, ["a", "b"]) != table_digest(both, ["b", "a"])
