"""Rows of several classes are divided so that classes and pairs keep their share."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.data.targets.iterative_split import split

FRACTIONS = {"validation": 0.1, "test": 0.2}
tables = st.lists(st.lists(st.integers(0, 7), max_size=5), min_size=1, max_size=80)
fraction = st.floats(0.0, 0.45)


def counts(classes, positions) -> Counter:
    return Counter(number for row in positions for number in set(classes[row]))


@given(tables, fraction, fraction, st.integers(0, 99))
def test_every_row_is_in_one_part_and_sizes_are_right(classes, validation, test, seed):
    parts = split(classes, {"validation": validation, "test": test}, seed)
    assert list(parts) == ["train", "validation", "test"]
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(classes)))
    assert len(parts["validation"]) == round(len(classes) * validation)
    assert len(parts["test"]) == round(len(classes) * test)
    assert all((np.diff(rows) > 0).all() for rows in parts.values())


@given(tables, fraction, fraction, st.integers(0, 99))
def test_train_has_every_class_if_it_has_as_many_rows(classes, validation, test, seed):
    parts = split(classes, {"validation": validation, "test": test}, seed)
    occurring = counts(classes, range(len(classes)))
    if len(parts["train"]) >= len(occurring):
        assert set(counts(classes, parts["train"])) == set(occurring)


@given(tables, st.integers(0, 99))
def test_the_same_seed_gives_the_same_split(classes, seed):
    first, other = split(classes, FRACTIONS, seed), split([row[::-1] for row in classes], FRACTIONS, seed)
    assert all((first[part] == other[part]).all() for part in first)


@given(st.lists(st.integers(4, 60), min_size=1, max_size=5), st.integers(0, 99))
def test_one_class_a_row_is_plain_stratification(sizes, seed):
    classes = [[number] for number, size in enumerate(sizes) for _ in range(size)]
    parts = split(classes, FRACTIONS, seed)
    for part, share in {"train": 0.7, **FRACTIONS}.items():
        counted = counts(classes, parts[part])
        for number, size in enumerate(sizes):
            assert abs(counted[number] - share * size) < 2 + len(sizes) / 2


def skewed(rows: int, seed: int) -> list[list[int]]:
    """Twenty classes, the rarest in one row of two hundred, some of which go together."""
    random = np.random.default_rng(seed)
    shares = np.geomspace(0.4, 0.005, 20)
    members = random.random((rows, 20)) < shares
    members[:, 7] |= members[:, 2] & (random.random(rows) < 0.2)
    return [np.flatnonzero(row).tolist() for row in members]


def unevenness(classes, parts, size: int) -> float:
    """Return the mean difference of the share of each class, or pair, between a part and all rows."""
    keys = [set(row) if size == 1 else {(a, b) for a in row for b in row if a < b} for row in classes]
    total = Counter(key for row in keys for key in row)
    differences = []
    for rows in parts.values():
        counted = Counter(key for row in rows for key in keys[row])
        differences += [abs(counted[key] / len(rows) - total[key] / len(classes)) for key in total]
    return float(np.mean(differences))


@pytest.mark.parametrize("size", [1, 2])
def test_shares_are_kept_better_than_at_random(size):
    ratios = []
    for seed in range(5):
        classes = skewed(1500, seed)
        parts = split(classes, FRACTIONS, seed)
        order = np.random.default_rng(seed).permutation(len(classes))
        drawn = dict(zip(parts, np.split(order, np.cumsum([len(rows) for rows in parts.values()])[:-1]), strict=True))
        ratios.append(unevenness(classes, parts, size) / unevenness(classes, drawn, size))
    assert max(ratios) < {1: 0.35, 2: 0.6}[size]


def test_held_out_parts_have_each_class_that_is_frequent_enough():
    for seed in range(5):
        classes = skewed(1500, seed)
        parts = split(classes, FRACTIONS, seed)
        for number, count in counts(classes, range(len(classes))).items():
            for part, share in FRACTIONS.items():
                if count * share >= 2:
                    assert counts(classes, parts[part])[number] > 0


def test_fractions_above_one_are_refused():
    with pytest.raises(ValueError, match="fractions"):
        split([[0]] * 10, {"validation": 0.6, "test": 0.6}, 0)
