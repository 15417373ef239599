"""Test on later rows than those that are learned from, as a model in use is.

Rows of one time differ less from each other than from those of another: a test part that is drawn at random is too
optimistic about what comes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.interactions.times import Floats, parsed, shown
from toolkit.errors import DataError


def carve(
    parts: Mapping[str, pa.Table], column: str, share: float
) -> tuple[dict[str, pa.Table], list[str], dict[str, Any]]:
    """Move the latest rows of train to test, if there is no test part. Rows of the same time are never divided.

    Rows of train without a readable time are left out: they may be later than test.

    Args:
        parts: The parts that came with the data.
        column: Column of times: dates, or numbers.
        share: Share of train's rows to move.

    Returns:
        The parts, sentences on what was done, and facts of the division: "column", and where the parts do not overlap
        "train_until" and "test_from".

    Raises:
        DataError: A part lacks the column, or there are too few different times.
    """
    for part in ("train", "test"):
        if part in parts and column not in parts[part].column_names:
            raise DataError(
                f"`data.time_column` names the column `{column}`, which the {part} part does not have.",
                f"It has {', '.join(name for name in parts[part].column_names if not name.startswith('_'))}.",
                id="data.column-missing",
            )
    times = parsed(parts["train"][column])
    known = ~np.isnan(times)
    if not known.any():
        raise DataError(
            f"No value of `{column}` can be read as a time.",
            "Write dates, best as 2024-05-31 or 2024-05-31 12:00, or numbers.",
            id="data.wrong-kind",
        )
    train, times = parts["train"].filter(pa.array(known)), times[known]
    notes = []
    if not known.all():
        notes.append(f"{(~known).sum():,} rows without a readable `{column}` were left out of train.")
    if "test" in parts:
        later = parsed(parts["test"][column])
        return {**parts, "train": train}, [*notes, *_overlap(times, later, column)], _facts(times, later, column)
    cut = float(np.quantile(times, 1 - share, method="lower"))
    later_rows = times > cut
    if not later_rows.any():  # the last time has more rows than the share
        later_rows = times >= times.max()
    if later_rows.all():
        raise DataError(
            f"All rows have the same `{column}`: no later rows are left to test on.",
            "Name a column of different times, or give separate parts (train and test files in one folder).",
            id="data.too-few-rows",
        )
    first = shown(float(times[later_rows].min()))
    notes.append(f"Test: the {later_rows.sum():,} rows from {first} on, by `{column}`; the others are earlier.")
    divided = {"train": train.filter(pa.array(~later_rows)), "test": train.filter(pa.array(later_rows))}
    return {**parts, **divided}, notes, _facts(times[~later_rows], times[later_rows], column)


def _overlap(times: Floats, later: Floats, column: str) -> list[str]:
    """Warn of given parts in which training rows are as late as test rows."""
    late = int((times >= np.nanmin(later)).sum()) if not np.isnan(later).all() else 0
    if not late:
        return []
    return [
        f"{late:,} training rows are not earlier than the first test row, by `{column}`: test does not show how the "
        "model does on later rows."
    ]


def _facts(times: Floats, later: Floats, column: str) -> dict[str, Any]:
    if np.isnan(later).all() or times.max() >= np.nanmin(later):
        return {"column": column}
    return {"column": column, "train_until": shown(float(times.max())), "test_from": shown(float(np.nanmin(later)))}
