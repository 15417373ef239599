"""Baselines that rank items, on a log that can be counted by hand."""

import numpy as np
import pyarrow as pa
import pytest

from toolkit.evaluation.baselines import items as item_baselines
from toolkit.evaluation.baselines.items import item_neighbours, most_frequent_successor, most_popular

TRAIN = pa.table(
    {
        "history": [["a", "b"], ["a", "b"], ["c", "d"], ["c"], ["a"]],
        "item": ["e", "e", "f", "d", "c"],
        "user": ["u", "v", "w", "w", "x"],
    }
)  # a 3, b 2, c 3, d 2, e 2, f 1
EVERY = {"exclude_seen": False}
NEW = {"exclude_seen": True}


def test_rows(*histories) -> pa.Table:
    return pa.table({"history": pa.array(histories, pa.list_(pa.string()))})


test_rows.__test__ = False  # type: ignore[attr-defined]


def test_popularity_is_alike_for_everyone():
    (first, other) = most_popular(TRAIN, test_rows(["b"], ["x"]), (), EVERY)
    assert first == other == ["a", "c", "b", "e", "d", "f"]
    (without,) = most_popular(TRAIN, test_rows(["a", "b"]), (), NEW)
    assert without == ["c", "e", "d", "f"]


def test_successors_of_the_last_item_come_first_then_popularity():
    rankings = most_frequent_successor(TRAIN, test_rows(["f", "b"], ["c"], ["a", "new"]), (), EVERY)
    assert rankings[0][0] == "e"
    assert rankings[1][0] == "d"
    assert rankings[2] == ["a", "c", "b", "e", "d", "f"]
    assert most_frequent_successor(TRAIN, test_rows(["e", "b"]), (), NEW)[0][0] == "a"  # no successor is left


def test_neighbours_are_items_of_the_same_users():
    (ranking,) = item_neighbours(TRAIN, test_rows(["b"]), (), NEW)
    used = np.array([[1, 1, 0, 0, 1, 0], [1, 1, 0, 0, 1, 0], [0, 0, 1, 1, 0, 1], [1, 0, 1, 0, 0, 0]], float)
    cosine = used.T @ used / np.sqrt(np.outer(used.sum(0), used.sum(0)))
    assert cosine[1, 4] == pytest.approx(1.0)
    assert ranking[:2] == ["e", "a"]


@pytest.mark.parametrize("baseline", [most_popular, item_neighbours, most_frequent_successor])
def test_rows_in_pieces_give_the_same_rankings(baseline, monkeypatch):
    random = np.random.default_rng(0)
    items = [f"i{number}" for number in range(30)]
    lists = [list(random.choice(items, size=6)) for _ in range(40)]
    train = pa.table({"history": [row[:-1] for row in lists], "item": [row[-1] for row in lists]})
    rows = test_rows(*(row[:3] for row in lists))
    expected = baseline(train, rows, (), NEW)
    monkeypatch.setattr(item_baselines, "_CELLS", 100)
    assert baseline(train, rows, (), NEW) == expected
    assert all(len(ranking) == len(set(ranking)) == 20 for ranking in expected)
    assert all(not set(ranking) & set(row[:3]) for ranking, row in zip(expected, lists, strict=True))


def test_only_the_nearest_neighbours_count(monkeypatch):
    monkeypatch.setattr(item_baselines, "NEIGHBOURS", 1)
    (ranking,) = item_neighbours(TRAIN, test_rows(["b"]), (), NEW)
    assert ranking[:2] == ["e", "a"]  # a by its popularity
