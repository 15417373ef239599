"""The split partitions the rows by class, and no text is in two parts."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.data.division import split
from toolkit.errors import DataError

FRACTIONS = {"validation": 0.1, "test": 0.15}
fraction = st.floats(0.01, 0.45)


def table(counts, start=0) -> pa.Table:
    """Rows of distinct texts, `counts[c]` of class c."""
    labels = np.repeat(np.arange(len(counts)), counts)
    rows = range(start, start + len(labels))
    return pa.table({"text": [f"text {n}" for n in rows], "label": labels, "_row": list(rows)})


def carve(tables, fractions=FRACTIONS, seed=0, classes=2):
    return split.carve(
        tables, label="label", labels=[f"class {n}" for n in range(classes)], fractions=fractions, seed=seed
    )


def rows_of(parts) -> list[int]:
    return sorted(row for part in parts.values() for row in part["_row"].to_pylist())


# --- carving --------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(3, 60), min_size=2, max_size=5), fraction, fraction, st.integers(0, 99))
def test_carving_partitions_the_rows_and_every_part_has_every_class(counts, validation, test, seed):
    whole, classes = table(counts), len(counts)
    try:
        parts = carve({"train": whole}, {"validation": validation, "test": test}, seed, classes)
    except DataError:
        assert (
            sum(counts) * (1 - validation - test) < 2 * classes + 2
        )  # only where train would be left with nearly nothing
        return
    assert list(parts) == ["train", "test", "validation"]
    assert rows_of(parts) == list(range(whole.num_rows))
    for name, part in parts.items():
        assert set(part["label"].to_pylist()) == set(range(classes)), name
        assert part["_row"].to_pylist() == sorted(part["_row"].to_pylist())
    for name, share in (("test", test), ("validation", validation)):
        assert parts[name].num_rows == max(round(share * whole.num_rows), classes)


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_stays_in_train_however_much_is_held_out(seed):
    parts = carve({"train": table([3, 97])}, {"validation": 0.45, "test": 0.45}, seed)
    assert [part["label"].to_pylist().count(0) for part in parts.values()] == [1, 1, 1]


@given(st.lists(st.integers(20, 200), min_size=2, max_size=4), st.integers(0, 99))
def test_carving_keeps_the_share_of_each_class(counts, seed):
    parts = carve({"train": table(counts)}, seed=seed, classes=len(counts))
    for name, share in FRACTIONS.items():
        taken = np.bincount(parts[name]["label"].to_numpy(), minlength=len(counts))
        assert np.abs(taken - np.array(counts) * share).max() <= 1.5


def test_the_seed_decides_which_rows():
    whole = {"train": table([100, 100])}
    first, again, other = (carve(whole, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["test"] != other["test"]
    assert first["test"]["_row"].to_pylist() != list(range(first["test"].num_rows))


def test_given_parts_are_left_as_they_are():
    given_parts = {"train": table([50, 50]), "test": table([3, 0], 500)}
    parts = carve(given_parts)
    assert parts["test"] == given_parts["test"]
    assert parts["validation"].num_rows == 10
    assert rows_of(parts) == [*range(100), 500, 501, 502]
    whole = {**given_parts, "validation": table([1, 1], 900)}
    assert carve(whole) == whole


def test_rows_without_a_class_are_carved_too():
    parts = split.carve({"train": table([40])}, label=None, labels=(), fractions=FRACTIONS, seed=0)
    assert {name: part.num_rows for name, part in parts.items()} == {"train": 30, "test": 6, "validation": 4}
    assert rows_of(parts) == list(range(40))
    with refused(DataError, "data.too-few-rows", "2 rows"):
        split.carve({"train": table([2])}, label=None, labels=(), fractions=FRACTIONS, seed=0)


@pytest.mark.parametrize(("times", "said"), [(1, "once (row 40)"), (2, "twice (rows 40, 41)")])
def test_a_rare_label_is_named_with_its_rows(times, said):
    with refused(DataError, "label.too-rare") as caught:
        carve({"train": table([40, times])})
    assert f"`class 1` appears {said}" in caught.value.problem
    assert "3 are needed" in caught.value.problem
    assert """--set 'data.label_map={"class 1": OTHER}'""" in caught.value.fix


def test_rare_labels_are_named_together():
    with refused(DataError, "label.too-rare") as caught:
        carve({"train": table([40, 1, 30, 2])}, classes=4)
    assert "`class 1` appears once" in caught.value.problem
    assert "`class 3` appears twice" in caught.value.problem
    assert "class 2" not in caught.value.problem
    assert "data.min_label_rows=3" in caught.value.fix
    assert "data.rare_labels=merge" in caught.value.fix


def test_a_label_that_appears_once_is_fine_where_nothing_is_carved():
    parts = {"train": table([40, 1]), "validation": table([2, 0], 100), "test": table([2, 1], 200)}
    assert carve(parts) == parts


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.data())
def test_choose_returns_the_given_number(counts, data):
    classes = np.repeat(np.arange(len(counts)), counts)
    spare = data.draw(st.integers(0, min(counts) - 1))
    count = data.draw(st.integers(len(counts), len(classes) - spare * len(counts)))
    chosen = split.choose(classes, count, np.random.default_rng(0), spare=spare)
    assert len(set(chosen.tolist())) == len(chosen) == count
    taken = np.bincount(classes[chosen], minlength=len(counts))
    assert (taken >= 1).all()
    assert (np.array(counts) - taken >= spare).all()


# --- separation -----------------------------------------------------------------------------------------------------


def texts(*values) -> pa.Table:
    return pa.table({"text": pa.array(values, pa.string())})


def test_held_out_rows_leave_train():
    parts = {
        "train": texts("a", "b", "c", "c", " B ", "d"),
        "validation": texts("b", "e", "E  ", "f"),
        "test": texts("a", "F", "a"),
    }
    kept, result = split.separate(parts, ["text"], remove=True)
    assert {name: part["text"].to_pylist() for name, part in kept.items()} == {
        "train": ["c", "c", "d"],
        "validation": ["b", "e", "E  "],
        "test": ["a", "F", "a"],
    }
    assert result == {"train_in_held_out": 3, "validation_in_test": 1, "repeated_in_train": 1}
    assert split.separate(parts, ["text"], remove=False) == (parts, {**result, "repeated_in_train": 2})


@given(st.lists(st.lists(st.sampled_from(["a", "A ", "b", " b", "c", "d"]), max_size=6), min_size=3, max_size=3))
def test_separated_parts_share_no_text(values):
    parts = dict(zip(split.PARTS, (texts(*part) for part in values), strict=True))
    kept, _ = split.separate(parts, ["text"], remove=True)
    assert kept["test"] == parts["test"]
    seen = {name: {text.strip().lower() for text in part["text"].to_pylist()} for name, part in kept.items()}
    assert not seen["train"] & (seen["validation"] | seen["test"])
    assert not seen["validation"] & seen["test"]
    assert split.shared_rows(kept["train"], kept["test"], ["text"]) == 0


def test_keys_are_of_texts_not_of_their_spacing():
    same = split.row_keys(texts("A  b\n", "a b", "a\tB"), ["text"])
    assert len(set(same.tolist())) == 1
    different = pa.table({"text": ["a b", "a", "ab", ""], "text_pair": ["", "b", None, "ab"]})
    assert len(set(split.row_keys(different, ["text", "text_pair"]).tolist())) == 4
    words = pa.table({"words": [["a", "b"], ["a b"], ["b", "a"]]})
    assert len(set(split.row_keys(words, ["words"]).tolist())) == 2


def test_keys_of_many_chunks_are_those_of_one():
    whole = texts(*map(str, range(50)))
    pieces = pa.concat_tables([whole.slice(n, 7) for n in range(0, 50, 7)])
    assert (split.row_keys(whole, ["text"]) == split.row_keys(pieces, ["text"])).all()


# --- fingerprint ----------------------------------------------------------------------------------------------------


def test_the_fingerprint_is_of_the_rows_and_their_parts():
    train, test = table([5, 5]), table([2, 2], 50)
    columns = ["text", "label"]
    original = split.fingerprint({"train": train, "test": test}, columns)
    assert original.startswith("sha256:")
    assert split.fingerprint({"test": test, "train": train}, columns) == original
    chunks = pa.concat_tables([train.slice(0, 3), train.slice(3)])
    assert split.fingerprint({"train": chunks, "test": test}, columns) == original
    relabelled = train.set_column(1, "label", pa.array([1] * 10))
    for changed in (
        {"train": test, "test": train},
        {"train": train.slice(1), "test": test},
        {"train": relabelled, "test": test},
        {"train": train.take(list(reversed(range(10)))), "test": test},
        {"train": train},
    ):
        assert split.fingerprint(changed, columns) != original
    assert split.fingerprint({"train": train, "test": test}, ["text"]) != original


def test_without_columns_to_compare_by_no_row_is_another(tmp_path):
    parts = {part: pa.table({"history": [["a"], ["a"]]}) for part in split.PARTS}
    kept, counts = split.separate(parts, [], remove=True)
    assert kept == parts
    assert set(counts.values()) == {0}
    assert split.shared_rows(parts["train"], parts["test"], []) == 0
