"""No group is in two parts."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.config.settings import DataConfig
from toolkit.data.division import groups
from toolkit.data.load import load_splits
from toolkit.errors import DataError
from toolkit.tasks import loading

FRACTIONS = {"validation": 0.2, "test": 0.2}


def table(names, classes=None) -> pa.Table:
    classes = [number % 2 for number in range(len(names))] if classes is None else classes
    return pa.table({"patient": pa.array(names, pa.string()), "label": classes, "place": range(len(names))})


def carved(rows: pa.Table, **given_parts) -> dict[str, pa.Table]:
    return groups.carve({"train": rows, **given_parts}, "patient", label="label", labels=("a", "b"),
                        fractions=FRACTIONS, seed=3)  # fmt: skip


def sides(parts) -> list[set]:
    return [set(rows["patient"].to_pylist()) - {None} for rows in parts.values()]


@given(st.lists(st.one_of(st.none(), st.integers(0, 30).map(str)), min_size=60, max_size=200))
def test_no_group_is_on_two_sides_and_no_row_is_lost(names):
    rows = table([*names, *map(str, range(40))])
    parts = carved(rows)
    first, other, third = sides(parts)
    assert not (first & other or first & third or other & third)
    assert sorted(place for part in parts.values() for place in part["place"].to_pylist()) == list(range(len(rows)))
    assert set(parts["train"]["label"].to_pylist()) == {0, 1}


def test_group_split_has_about_the_given_shares():
    names = [f"p{number // 5}" for number in range(1000)]
    classes = [int(number // 5 % 4 == 0) for number in range(1000)]  # a patient has one class
    parts = carved(table(names, classes))
    for part in ("validation", "test"):
        assert 170 <= parts[part].num_rows <= 230
        assert 0.2 <= sum(parts[part]["label"].to_pylist()) / parts[part].num_rows <= 0.3
    assert carved(table(names, classes))["test"].equals(parts["test"])


def test_groups_of_held_out_parts_are_removed():
    parts = {"train": table(["a", "b", None, "c"]), "test": table(["b", None]), "validation": table(["c", "b", "d"])}
    kept, notes = groups.whole(parts, "patient")
    assert [kept[part]["patient"].to_pylist() for part in ("train", "validation", "test")] == [
        ["a", None],
        ["c", "d"],
        ["b", None],
    ]
    assert notes == [
        "1 validation rows whose patient also occurs in a held-out part were removed.",
        "2 train rows whose patient also occurs in a held-out part were removed.",
    ]


def test_what_is_refused():
    with refused(DataError, "data.column-missing", "`subject`", "patient, label, place"):
        groups.whole({"train": table(["a"])}, "subject")
    with refused(DataError, "data.overlapping-parts", "patient", "train"):
        groups.whole({"train": table(["a"]), "test": table(["a"])}, "patient")
    with refused(DataError, "data.too-few-rows", "`patient`", "test"):
        carved(table(["a"] * 10))


def test_a_run_divides_by_groups(write_csv):
    rows = [(f"text {number} of {number // 4}", "yn"[number % 2], number // 4) for number in range(120)]
    file = write_csv("all.csv", rows, header="text,label,patient")
    recipe = loading.load("sentiment")
    splits = load_splits(recipe, DataConfig(source=str(file), group_column="patient"), 7)
    first, other, third = (set(part["patient"].to_pylist()) for part in (splits.train, splits.validation, splits.test))
    assert first and other and third
    assert not (first & other or first & third or other & third)
