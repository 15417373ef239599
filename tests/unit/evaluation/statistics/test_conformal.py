"""Intervals of single predictions contain the truth as often as they say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.evaluation.statistics.promises.conformal import half_width

residuals = st.lists(st.floats(-1e6, 1e6), max_size=60)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("rows", [30, 200])
def test_new_rows_are_covered(coverage, rows):
    """The share is a little above what is asked, by at most 1 / (n + 1), whatever the distribution."""
    random = np.random.default_rng(rows)
    held = []
    for _ in range(2000):
        errors = random.standard_t(2, rows + 20)
        held.append(np.mean(np.abs(errors[rows:]) <= half_width(errors[:rows], coverage)))
    assert coverage - 0.01 <= np.mean(held) <= coverage + 1 / (rows + 1) + 0.01


@given(residuals, st.floats(0.01, 0.99))
def test_it_is_the_smallest_residual_with_enough_at_or_below_it(values, coverage):
    width, needed = half_width(values, coverage), (len(values) + 1) * coverage
    sizes = np.sort(np.abs(values))
    if width is None:
        assert needed > len(values) - 1e-9
        return
    assert width in sizes
    assert (sizes <= width).sum() >= needed - 1e-6
    assert (sizes < width).sum() < needed


def test_ranks_counted_by_hand():
    assert half_width(range(1, 10), 0.9) == 9  # ⌈10 × 0.9⌉ = 9
    assert half_width(range(1, 10), 0.7) == 7
    assert half_width(range(1, 9), 0.9) is None  # ⌈9 × 0.9⌉ = 9 of 8
    assert half_width([-5.0, 1.0, 2.0], 0.75) == 5
    assert half_width([], 0.5) is None


def test_residuals_that_are_not_finite_are_the_largest():
    assert half_width([math.nan, 1.0, 2.0, math.inf, 3.0], 0.5) == 3
    assert half_width([math.nan, 1.0, 2.0, 3.0], 0.8) is None


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_rows_of_new_groups_are_covered(coverage):
    """Of 20 groups of 20 rows, whose errors have an intraclass correlation of 0.2."""
    random, held = np.random.default_rng(1), {"groups": [], "rows": []}
    groups = np.repeat(np.arange(20), 20)
    for _ in range(600):
        shared, own = random.normal(size=(21, 1)), random.normal(size=(21, 20))
        errors = np.sqrt(0.2) * shared + np.sqrt(0.8) * own
        for name, clusters in (("groups", groups), ("rows", None)):
            width = half_width(errors[:20].ravel(), coverage, clusters)
            held[name].append(np.mean(np.abs(errors[20]) <= width))
    assert np.mean(held["groups"]) >= coverage - 0.01
    assert np.mean(held["groups"]) > np.mean(held["rows"])


def test_groups_have_equal_weights_whatever_their_size():
    errors, groups = [1.0] * 9 + [5.0, 6.0, 7.0], np.array([0] * 9 + [1, 2, 3])
    assert half_width(errors, 0.2, groups) == 1  # the first group holds a fifth
    assert half_width(errors, 0.4, groups) == 5
    assert half_width(errors, 0.8, groups) == 7
    assert half_width(errors, 0.9, groups) is None  # 5 × 0.9 of 4
