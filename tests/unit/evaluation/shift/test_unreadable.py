"""Rows that cannot be predicted: the rate of false alarms, and what is found."""

import numpy as np
import pytest

from toolkit.evaluation.shift.unreadable import Count, compare


def test_equal_shares_are_claimed_at_most_at_the_level() -> None:
    generator = np.random.default_rng(0)
    claims = []
    for _ in range(2000):
        new, reference = generator.binomial((300, 900), 0.05)
        claims.append(compare(Count(int(new), 300), Count(int(reference), 900), 0.05, grouped=False).claimed)
    assert np.mean(claims) <= 0.05


@pytest.mark.parametrize(("bad", "claimed"), [(0, False), (1, False), (20, True), (200, True)])
def test_more_unreadable_rows_than_in_the_data_are_claimed(bad: int, claimed: bool) -> None:
    found = compare(Count(bad, 200), Count(0, 1000), 0.00025, grouped=False)
    assert found.claimed is claimed


def test_fewer_are_no_alarm_and_groups_are_not_tested() -> None:
    assert not compare(Count(0, 200), Count(500, 1000), 0.05, grouped=False).claimed
    grouped = compare(Count(100, 200), Count(0, 1000), 0.05, grouped=True)
    assert (grouped.p, grouped.claimed) == (None, False)
