"""Intervals of losses have their published values and their errors."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from toolkit.evaluation.statistics.claims.non_inferiority import (
    agreeing,
    of_separate,
    paired_shares,
    rows_needed,
    scaled,
)
from toolkit.evaluation.statistics.intervals import Interval


def rows(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, first, second, neither)
    return np.repeat([1.0, 1.0, 0.0, 0.0], counts), np.repeat([1.0, 0.0, 1.0, 0.0], counts)


def test_paired_shares_have_the_published_interval() -> None:
    """Fagerland, Lydersen and Laake 2014, "Recommended Tests … for Paired Binomial Proportions", example of airways."""
    interval = paired_shares(*rows(1, 1, 7, 12), 0.025, correction=0)
    assert (interval.low, interval.value, interval.high) == pytest.approx((-0.517, -0.286, -0.026), abs=0.0006)
    interval, turned = paired_shares(*rows(1, 1, 7, 12), 0.025), paired_shares(*rows(1, 7, 1, 12), 0.025)
    assert (-turned.high, -turned.low) == pytest.approx((interval.low, interval.high))
    assert interval.low < -0.517
    assert interval.high > -0.026


def test_models_that_agree_everywhere_are_not_known_to_be_equal() -> None:
    interval = paired_shares(*rows(9, 0, 0, 1), 0.025)
    assert interval.high == pytest.approx(-interval.low)
    assert 0.2 < interval.high < 0.5
    assert agreeing(0.0, 100.0, 10, 0.025).high == pytest.approx(100 * (1 - 0.025**0.1))
    same = np.ones(200), np.ones(200)
    assert paired_shares(*same, 0.025, np.arange(200) // 20).high > 2 * paired_shares(*same, 0.025).high


@pytest.mark.parametrize("error", [0.025, 0.002])
def test_ends_err_no_more_than_they_may(error: float) -> None:
    """By enumeration of all outcomes of 60 rows, of which a quarter differ: the second is worse by 15 points."""
    count, first, second = 60, 0.2, 0.05
    above = below = 0.0
    for differing in range(35):
        for only_first in range(differing + 1):
            chance = binom.pmf(differing, count, first + second)
            chance *= binom.pmf(only_first, differing, first / (first + second))
            if chance < 1e-6:
                continue
            interval = paired_shares(*rows(count - differing, only_first, differing - only_first, 0), error)
            above += chance * (interval.high < first - second)
            below += chance * (interval.low > first - second)
    assert 0 < above < error
    assert 0 < below < error


def test_copies_of_rows_say_nothing_new() -> None:
    first, second = rows(150, 20, 10, 20)
    single = paired_shares(first, second, 0.025)
    copied = paired_shares(first.repeat(5), second.repeat(5), 0.025, np.arange(200).repeat(5))
    naive = paired_shares(first.repeat(5), second.repeat(5), 0.025)
    assert copied.high - copied.low == pytest.approx(single.high - single.low, rel=0.03)
    assert naive.high - naive.low < 0.5 * (copied.high - copied.low)


def test_separate_intervals_are_combined_and_scaled() -> None:
    difference = of_separate(Interval(0.5, 0.2, 0.9), Interval(0.3, 0.0, 0.7))
    assert (difference.low, difference.value, difference.high) == pytest.approx((0.2 - 0.5, 0.2, 0.2 + 0.5))
    wide = scaled(Interval(0.0, -1.96, 1.96), 0.95, 0.005)
    assert wide.high == pytest.approx(norm.ppf(0.995), abs=1e-3)


def test_needed_rows_follow_from_the_distance() -> None:
    arm = norm.ppf(0.975) * 0.01  # standard error 0.01 on 1,000 rows
    needed = rows_needed(1000, arm, 0.02, 0.025)
    assert needed == pytest.approx(1000 * ((1.96 + 0.8416) / 2) ** 2, rel=0.001)
    assert rows_needed(1000, arm, 1e-9, 0.025) is None
