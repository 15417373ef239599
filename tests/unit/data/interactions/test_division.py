"""Nothing in train is later than anything in validation, and that not later than anything in test."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.data.interactions.division import TEST, TRAIN, VALIDATION, by_time, leave_one_out
from toolkit.errors import DataError

FRACTIONS = st.floats(0.05, 0.4)
LOGS = st.lists(st.integers(0, 40), min_size=3, max_size=80)


@given(LOGS, FRACTIONS, FRACTIONS)
def test_parts_follow_each_other_in_time(log, validation, test):
    times = np.array(log, np.float64)
    try:
        parts, _ = by_time(times, np.zeros(len(times), np.int64), validation, test)
    except DataError:
        assume(False)
    assert times[parts == TRAIN].max() < times[parts == VALIDATION].min()
    assert times[parts == VALIDATION].max() < times[parts == TEST].min()


def test_the_shares_are_those_of_the_interactions():
    parts, notes = by_time(np.arange(100.0), np.zeros(100, np.int64), 0.1, 0.2)
    assert np.bincount(parts).tolist() == [70, 10, 20] or np.bincount(parts).tolist() == [71, 10, 19]
    assert len(notes) == 1


def test_one_time_alone_is_refused():
    with refused(DataError, "data.too-few-rows"):
        by_time(np.ones(50), np.zeros(50, np.int64), 0.1, 0.2)


def test_given_parts_are_kept_and_an_overlap_is_noted():
    given_parts = np.array([TRAIN] * 80 + [TEST] * 20)
    parts, notes = by_time(np.arange(100.0), given_parts, 0.25, 0.2)
    assert (parts[80:] == TEST).all()
    assert np.bincount(parts)[VALIDATION] == pytest.approx(20, abs=1)
    assert not any("future" in note for note in notes)
    _, notes = by_time(np.arange(100.0)[::-1].copy(), given_parts, 0.25, 0.2)
    assert any("future" in note for note in notes)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=20))
def test_leave_one_out_takes_the_last_of_users_with_three(counts):
    earlier = np.concatenate([np.arange(count) for count in counts])
    later = np.concatenate([np.arange(count)[::-1] for count in counts])
    parts, notes = leave_one_out(earlier, later)
    enough = sum(count >= 3 for count in counts)
    assert (parts == TEST).sum() == (parts == VALIDATION).sum() == enough
    assert (later[parts == TEST] == 0).all()
    assert any("future" in note for note in notes)
