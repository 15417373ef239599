"""From logs and tables of histories to rows: no interaction of train is later than one of test."""

import json
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.config.settings import DataConfig
from toolkit.data.load import load_splits, load_table
from toolkit.errors import DataError
from toolkit.tasks import loading
from toolkit.tasks.contract import Tables

OPTIONS = loading.load("recommend").options
DATA = DataConfig(source="log.csv", max_length=4)


def arranged(rows, divide=True, data=DATA, **options) -> Tables:
    parts = rows if isinstance(rows, dict) else {"all": rows}
    parts = {
        name: table.append_column("_file", pa.array(["log.csv"] * table.num_rows)).append_column(
            "_row", pa.array(range(table.num_rows))
        )
        for name, table in parts.items()
    }
    return loading.load("recommend").arrange(parts, data, OPTIONS(**options).model_dump(), divide=divide)


def log(interactions) -> pa.Table:
    """(user, time) of each; every interaction has an item of its own, whose name is its time."""
    return pa.table(
        {
            "customer": [f"u{user}" for user, _ in interactions],
            "Product": [f"{time}" for _, time in interactions],
            "timestamp": [str(time) for _, time in interactions],
        }
    )


INTERACTIONS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60)), min_size=20, max_size=120)


@settings(deadline=None)
@given(INTERACTIONS)
def test_no_row_of_test_has_its_future_in_train(interactions):
    try:
        parts = arranged(log(interactions)).parts
    except DataError as error:
        assert error.id == "data.too-few-rows"
        return
    learned = [int(t) for row in parts["train"].to_pylist() for t in (*row["history"], row["Product"])]
    held_out = {part: [int(t) for t in parts[part]["Product"].to_pylist()] for part in ("validation", "test")}
    for part in ("validation", "test"):
        for time in held_out[part]:
            assert max(learned, default=-1) < time
        for row in parts[part].to_pylist():  # what came before, in order, and nothing of the same or a later time
            before = [int(t) for t in row["history"]]
            assert before == sorted(before)
            assert before[-1] <= int(row["Product"])
    assert all(one < other for one in held_out["validation"] for other in held_out["test"])


def test_low_ratings_empty_cells_and_unreadable_times_are_left_out():
    rows = log([(user, time) for time in range(100) for user in range(2)])
    rating = pa.array([5 if number % 4 else 1 for number in range(200)])
    times = pa.array(["never" if n == 7 else t for n, t in enumerate(rows["timestamp"].to_pylist())])
    rows = rows.append_column("rating", rating).set_column(2, "timestamp", times)
    users = pa.array([None if n == 5 else u for n, u in enumerate(rows["customer"].to_pylist())])
    outcome = arranged(rows.set_column(0, "customer", users), min_rating=4)
    assert outcome.counts == {"incomplete_interactions": 1, "without_time": 1, "low_rating": 50}
    with refused(DataError, "data.column-unrecognized"):
        arranged(log([(0, 1), (0, 2)]), min_rating=4)
    with refused(DataError, "data.column-unrecognized"):
        arranged(rows.drop_columns(["timestamp"]))
    with refused(DataError, "data.empty-column"):
        arranged(rows.set_column(2, "timestamp", pa.array(["never"] * 200)))


def test_unseen_and_repeated_items_of_test_are_counted():
    rows = log([(user, time) for time in range(50) for user in range(2)])  # items are times: all of test are new
    notes = " ".join(arranged(rows).notes)
    assert "2 users, 50 items, 100 interactions" in notes
    assert "14 of 14 test rows have an item that is not in train" in notes
    same = pa.array(["a", "b"] * 50)
    notes = " ".join(arranged(rows.set_column(1, "Product", same)).notes)
    assert "options.exclude_seen=false" in notes
    assert "not in train" not in notes
    notes = " ".join(arranged(rows.set_column(1, "Product", same), exclude_seen=False).notes)
    assert "options.exclude_seen" not in notes


def test_leave_one_out_is_an_option_and_its_leak_is_noted():
    outcome = arranged(log([(user, 10 * user + time) for user in range(4) for time in range(5)]), split="leave-one-out")
    assert outcome.parts["test"]["Product"].to_pylist() == ["4", "14", "24", "34"]
    assert outcome.parts["validation"]["Product"].to_pylist() == ["3", "13", "23", "33"]
    assert any("future" in note for note in outcome.notes)


def test_large_parts_are_drawn_by_whole_users():
    rows = log([(user, time) for time in range(60) for user in range(10)])
    parts = arranged(rows, test_rows=25, validation_rows=5).parts
    drawn = parts["test"]["customer"].to_pylist()
    assert 0 < len(drawn) <= 25
    assert all(drawn.count(user) == drawn.count(drawn[0]) for user in drawn)
    assert set(parts["validation"]["customer"].to_pylist()) != set()


def test_for_an_evaluation_each_interaction_with_a_history_is_a_row():
    parts = arranged(log([(0, 1), (0, 2), (0, 3), (1, 5)]), divide=False).parts
    assert list(parts) == ["all"]
    assert parts["all"]["Product"].to_pylist() == ["2", "3"]


def test_given_parts_of_a_log_are_kept():
    train, test = (
        log([(u, t) for t in range(20) for u in range(2)]),
        log([(u, t) for t in range(20, 24) for u in range(2)]),
    )
    outcome = arranged({"train": train, "test": test})
    assert outcome.given
    assert outcome.parts["test"].num_rows == 8
    assert outcome.parts["test"]["history"].to_pylist()[0][-1] == "19"
    assert outcome.parts["validation"].num_rows > 0


@pytest.mark.parametrize("timed", [True, False])
def test_a_table_of_histories_is_divided_by_time_or_order(timed):
    numbers = list(range(100))
    shuffled = random.Random(0).sample(numbers, 100) if timed else numbers
    rows = pa.table({"history": [f"a|{n}" for n in shuffled], "next": [f"{n}" for n in shuffled]})
    rows = rows.append_column("date", pa.array([f"{n}" for n in shuffled])) if timed else rows
    outcome = arranged(rows)
    values = [list(map(int, outcome.parts[part]["next"].to_pylist())) for part in ("train", "validation", "test")]
    assert max(values[0]) < min(values[1])
    assert max(values[1]) < min(values[2])
    assert set(outcome.parts["train"]["_learned"].to_pylist()) == {3}
    assert set(outcome.parts["test"]["_learned"].to_pylist()) == {1}
    assert any("ordered by time" in note for note in outcome.notes) is not timed


def test_rows_of_different_users_with_one_history_are_not_duplicates(tmp_path):
    lines = [{"user": f"u{n}", "history": ["a", "b"], "item": "cd"[n % 2], "time": n} for n in range(40)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    recipe, options = loading.load("recommend"), OPTIONS().model_dump()
    config = DataConfig(source=str(tmp_path / "rows.jsonl"))
    splits = load_splits(recipe, config, 0, options)
    assert splits.train.num_rows + splits.validation.num_rows + splits.test.num_rows == 40
    assert [part["given"] for part in splits.facts["splits"]] == [False] * 3
    assert load_table(recipe, config, options=options).parts["all"].num_rows == 40


@pytest.mark.parametrize("split", ["time", "leave-one-out"])
def test_a_log_that_leaves_no_test_rows_is_refused(split, tmp_path):
    lines = [f"u{user},a,{user}" for user in range(20)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time", *lines]), encoding="utf-8")
    options = OPTIONS(split=split).model_dump()
    with pytest.raises(DataError) as caught:
        load_splits(loading.load("recommend"), DataConfig(source=str(tmp_path / "log.csv")), 0, options)
    assert caught.value.id == "data.no-rows"


def test_test_rows_of_one_user_are_noted():
    alone = arranged(log([(1, time) for time in range(60)]))
    assert any("one user" in note for note in alone.notes)
    several = arranged(log([(time % 3, time) for time in range(60)]))
    assert not any("one user" in note for note in several.notes)
