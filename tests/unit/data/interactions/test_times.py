"""Times of every written form become numbers in the right order."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from tests.support.errors import refused
from toolkit.data.interactions import times
from toolkit.errors import DataError


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["881250949", "", "881250950.5", None, "x"], [881250949, np.nan, 881250950.5, np.nan, np.nan]),
        ([3, None, 5], [3, np.nan, 5]),
        (["1970-01-02", "1970-01-01 00:00:10", "never", "1970-01-01T00:00:10Z"], [86400, 10, np.nan, 10]),
        (["Jan 2, 1970", "1/13/1970"], [86400, 12 * 86400]),
        (["02.01.1970", "03.01.1970"], [86400, 2 * 86400]),
        (["02/01/1970", "13/01/1970 00:00:10"], [86400, 12 * 86400 + 10]),
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


@pytest.mark.parametrize("dates", [["01/02/2020", "03/04/2020"], ["13/02/2020", "02/13/2020"]])
def test_an_order_of_day_and_month_that_is_not_shown_is_refused(dates):
    with refused(DataError, "data.ambiguous-dates", dates[0]):
        times.parsed(pa.chunked_array([dates]))
