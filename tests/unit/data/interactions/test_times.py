"""Times of every written form become numbers in the right order."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from toolkit.data.interactions import times


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["881250949", "", "881250950.5", None, "x"], [881250949, np.nan, 881250950.5, np.nan, np.nan]),
        ([3, None, 5], [3, np.nan, 5]),
        (["1970-01-02", "1970-01-01 00:00:10", "never", "1970-01-01T00:00:10Z"], [86400, 10, np.nan, 10]),
        (["Jan 2, 1970", "1/3/1970"], [86400, 2 * 86400]),
        ([datetime(1970, 1, 2, tzinfo=UTC), None], [86400, np.nan]),
    ],
)
def test_times_are_numbers(values, expected):
    column = pa.chunked_array([pa.array(values)])
    assert times.parsed(column) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (881250949, "1997-12-04 15:55"),
        (881250949e3, "1997-12-04 15:55"),
        (881250949e6, "1997-12-04 15:55"),
        (17, "17"),
        (-2.5, "-2.5"),
    ],
)
def test_plausible_times_are_shown_as_dates(time, shown):
    assert times.shown(time) == shown
