"""Times of interactions as numbers that can be compared, and such numbers as dates."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.errors import DataError

Floats = np.ndarray[Any, np.dtype[np.float64]]

_NUMERIC = re.compile(r"\s*(\d{1,2})([./-])(\d{1,2})\2\d{2,4}")  # day and month, or the other way round

# From which number on a time is in these units since 1970, and how many of them make a second.
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (1e8, 1.0))


def parsed(values: pa.ChunkedArray) -> Floats:
    """Return times as numbers, dates as seconds since 1970; NaN for what is no time. Shape (rows,)."""
    import pandas as pd

    if pa.types.is_temporal(values.type):
        return _seconds(values.cast(pa.timestamp("us")).to_pandas())
    if not pa.types.is_string(values.type) and not pa.types.is_large_string(values.type):
        return np.asarray(pd.to_numeric(values.to_pandas(), errors="coerce"), np.float64)
    texts = values.combine_chunks().dictionary_encode()
    different = texts.dictionary.to_pandas()
    numbers = np.asarray(pd.to_numeric(different, errors="coerce"), np.float64)
    if np.isnan(numbers).sum() > len(numbers) / 2:
        numbers = _dates(different)
    indices = np.asarray(texts.indices.fill_null(-1))
    result: Floats = np.append(numbers, np.nan)[indices]
    return result


def _dates(texts: Any) -> Floats:
    """Read dates: of ISO 8601, else of any form that pandas knows, with one order of day and month for all."""
    import pandas as pd

    dates = pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601")
    unread = dates.isna()
    if unread.any():
        first = _day_first([text for text in texts[unread] if isinstance(text, str)])
        dates[unread] = pd.to_datetime(texts[unread], errors="coerce", utc=True, format="mixed", dayfirst=first)
    return _seconds(dates)


def _day_first(texts: Sequence[str]) -> bool:
    """Whether days come before months in dates such as 31.05.2024: a number above 12 is a day.

    Raises:
        DataError: No date has such a number, or some have it in the one place and some in the other.
    """
    pairs = [(match, int(match[1]), int(match[3])) for text in texts if (match := _NUMERIC.match(text))]
    day_first, month_first = any(one > 12 for _, one, _ in pairs), any(two > 12 for _, _, two in pairs)
    if day_first != month_first or not pairs:
        return day_first
    if not day_first and all(match[2] == "." for match, _, _ in pairs):
        return True  # dots are the way of countries that write the day first
    raise DataError(
        f"Whether `{pairs[0][0][0]}` begins with the day or the month cannot be told from the other dates.",
        "Write dates as 2024-05-31.",
        id="data.ambiguous-dates",
    )


def _seconds(dates: Any) -> Floats:
    """Return dates as seconds since 1970; NaN for a missing one."""
    missing = dates.isna().to_numpy()
    seconds = dates.to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    return np.where(missing, np.nan, seconds)


def shown(time: float) -> str:
    """Return a time as a date, where it is a plausible one; else the number."""
    for least, units in _UNITS:
        if least <= time < least * 1e3:
            return f"{datetime.fromtimestamp(time / units, UTC):%Y-%m-%d %H:%M}"
    return f"{time:.10g}"
