"""Which words and which properties of inputs differ between reference rows and new rows.

Each difference is divided by its standard error under exchange, and the largest of all is compared with the largest in
random divisions: the probability that any difference is claimed by chance is at most the level, however words depend on
each other.

Source: Westfall and Young 1993, "Resampling-Based Multiple Testing", the single-step maxT method.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.shift.exchange import Singles
from toolkit.evaluation.statistics.clusters import Floats


@dataclass(frozen=True)
class Differences:
    """The differences of several columns.

    Attributes:
        reference: Mean of each column over the reference rows. Shape (K,).
        new: The same over the new rows. Shape (K,).
        standardised: Difference divided by its standard error under exchange. Shape (K,).
        p: Adjusted for all columns that are tested. Shape (K,).
    """

    reference: Floats
    new: Floats
    standardised: Floats
    p: Floats


def tested(parts: list[Any], new: Singles) -> list[Differences]:
    """Test the columns of several tables as one family.

    Args:
        parts: Dense or sparse tables with a row for each row. Shapes (N, K).
        new: From `exchanged`. Shape (N, B).
    """
    found = [_standardised(part, new) for part in parts]
    largest = np.max([np.abs(statistics).max(axis=0) for _, _, statistics in found], axis=0)  # (B,)
    order = np.sort(largest)
    tested_parts = []
    for reference, ours, statistics in found:
        first = np.abs(statistics[:, 0])
        p = (len(order) - np.searchsorted(order, first - 1e-5)) / len(order)
        tested_parts.append(Differences(reference, ours, statistics[:, 0].astype(np.float64), p))
    return tested_parts


def _standardised(columns: Any, new: Singles) -> tuple[Floats, Floats, Singles]:
    """Return means of reference rows and of new rows (K,), and standardised differences (K, B)."""
    rows = new.shape[0]
    totals = np.asarray(columns.sum(axis=0), np.float64).ravel()
    squares = columns.multiply(columns) if hasattr(columns, "multiply") else columns**2
    variance = np.asarray(squares.sum(axis=0), np.float64).ravel() / rows - (totals / rows) ** 2
    spread = np.sqrt(np.maximum(variance, 0.0))
    counts = new.sum(axis=0, dtype=np.float64)  # (B,)
    sums = np.asarray(columns.T @ new, np.float32)  # (K, B)
    ours = sums / counts
    theirs = (totals[:, None] - sums) / (rows - counts)
    error = spread[:, None] * np.sqrt(1 / counts + 1 / (rows - counts))
    difference = (ours - theirs).astype(np.float32)
    statistics = np.divide(difference, error, out=np.zeros_like(difference), where=error > 0)
    return theirs[:, 0], ours[:, 0].astype(np.float64), statistics


def ranks(values: Floats) -> Floats:
    """Return the rank of each number in its column, from 0 to 1. Shape (N, K)."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, axis=0) - 0.5, np.float64) / max(1, len(values))
