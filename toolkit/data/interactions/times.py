"""Times of interactions as numbers that can be compared, and such numbers as dates."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

Floats = np.ndarray[Any, np.dtype[np.float64]]

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
    """Read dates: of ISO 8601, else of any form that pandas knows."""
    import pandas as pd

    dates = pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601")
    unread = dates.isna()
    if unread.any():
        dates[unread] = pd.to_datetime(texts[unread], errors="coerce", utc=True, format="mixed")
    return _seconds(dates)


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
