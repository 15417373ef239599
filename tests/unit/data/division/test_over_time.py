"""Later rows are tested on, and nothing later than them is learned from."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.config.settings import DataConfig
from toolkit.data.division.over_time import carve
from toolkit.data.load import load_splits
from toolkit.errors import DataError
from toolkit.tasks import loading


def table(times) -> dict[str, pa.Table]:
    return {"train": pa.table({"text": [str(row) for row in range(len(times))], "date": times})}


@given(st.lists(st.integers(0, 20), min_size=2, max_size=60).filter(lambda times: len(set(times)) > 1))
def test_every_test_row_is_later_than_every_training_row(times):
    parts, notes, facts = carve(table(times), "date", 0.2)
    train, test = (parts[name]["date"].to_pylist() for name in ("train", "test"))
    assert max(train) < min(test)
    assert sorted(train + test) == sorted(times)
    assert len(notes) == 1
    assert (facts["train_until"], facts["test_from"]) == (str(max(train)), str(min(test)))


def test_dates_are_read_and_rows_without_one_left_out():
    dates = [f"2024-01-{day:02}" for day in range(1, 11)] + ["unknown", None]
    parts, notes, facts = carve(table(dates), "date", 0.2)
    assert parts["test"]["date"].to_pylist() == ["2024-01-09", "2024-01-10"]
    assert parts["train"].num_rows == 8
    assert facts == {"column": "date", "train_until": "2024-01-08 00:00", "test_from": "2024-01-09 00:00"}
    assert any(note.startswith("2 rows") for note in notes)


def test_a_last_time_with_many_rows_is_not_divided():
    parts, _, _ = carve(table([1, 1, 2, 2, 2, 2]), "date", 0.2)
    assert parts["test"]["date"].to_pylist() == [2, 2, 2, 2]


def test_given_parts_that_overlap_in_time_are_noted():
    parts = {**table([1, 2, 5]), "test": pa.table({"text": ["x"], "date": [4]})}
    kept, notes, facts = carve(parts, "date", 0.2)
    assert kept["test"].num_rows == 1
    assert facts == {"column": "date"}
    assert any(note.startswith("1 training rows") for note in notes)


@pytest.mark.parametrize(
    ("times", "column", "identifier"),
    [
        ([1, 2], "day", "data.column-missing"),
        (["a", "b"], "date", "data.wrong-kind"),
        ([3, 3, 3], "date", "data.too-few-rows"),
    ],
)
def test_what_cannot_be_divided_is_refused(times, column, identifier):
    with refused(DataError, identifier, column):
        carve(table(times), column, 0.2)


def test_validation_is_drawn_from_the_time_of_train(tmp_path):
    days = np.random.default_rng(0).permutation(200)
    rows = "".join(f"row number {day},{'ab'[day % 2]},{day}\n" for day in days)
    (tmp_path / "data.csv").write_text(f"text,label,day\n{rows}")
    recipe = loading.load("text")
    splits = load_splits(recipe, DataConfig(source=str(tmp_path / "data.csv"), time_column="day"), 7)
    train, validation, test = (
        [int(day) for day in rows["day"].to_pylist()] for rows in (splits.train, splits.validation, splits.test)
    )
    assert max(train + validation) < min(test)
    assert len(test) == 30
    assert min(validation) < np.median(train) < max(validation)
    assert splits.facts["time"]["test_from"] == "170"
