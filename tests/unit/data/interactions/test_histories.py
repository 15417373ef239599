"""Rows of histories: every training interaction once, and no item of a history after the next item."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.interactions import histories
from toolkit.data.interactions.histories import Log, next_items, pieces

COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=6)


def log(counts) -> Log:
    """Each user's items are its number and the place: 0-0, 0-1 …"""
    names = [f"{user}-{place}" for user, count in enumerate(counts) for place in range(count)]
    users = np.repeat(np.arange(len(counts)), counts)
    rows = pa.table({"user": users, "item": names})
    return Log(rows, users, np.arange(len(names)), pa.array(names), np.arange(len(names), dtype=float))


@given(COUNTS, st.integers(2, 8))
def test_pieces_cover_each_interaction_once(counts, longest):
    rows = pieces(log(counts), longest).to_pylist()
    seen = [item for row in rows for item in (*row["history"], row["item"])]
    expected = [f"{user}-{place}" for user, count in enumerate(counts) if count > 1 for place in range(count)]
    assert seen == expected
    assert all(1 <= len(row["history"]) <= longest for row in rows)
    assert all(row["_learned"] == len(row["history"]) + 1 for row in rows)


@given(COUNTS)
def test_a_history_is_everything_before_the_next_item(counts):
    whole = log(counts)
    rows = next_items(whole, np.flatnonzero(whole.earlier > 0)).to_pylist()
    assert len(rows) == sum(counts) - len(counts)
    for row in rows:
        user, place = map(int, row["item"].split("-"))
        assert row["history"] == [f"{user}-{before}" for before in range(place)]
        assert row["_learned"] == 1


def test_long_histories_keep_their_end(monkeypatch):
    monkeypatch.setattr(histories, "MOST_HISTORY", 3)
    (row,) = next_items(log([9]), np.array([8])).to_pylist()
    assert row["history"] == ["0-5", "0-6", "0-7"]


def test_numbers_before_and_after():
    whole = log([3, 1, 2])
    assert whole.earlier.tolist() == [0, 1, 2, 0, 0, 1]
    assert whole.later.tolist() == [2, 1, 0, 0, 1, 0]
