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
