"""Figures that are means over rows."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from toolkit.metrics.base import Floats
from toolkit.metrics.classification import divide


def mean_of(
    per_row: Callable[[Sequence[Any], Sequence[Any], Sequence[str]], Any],
) -> Callable[[Sequence[Any], Sequence[Any], Sequence[str]], Floats]:
    """Make the `statistics` of a mean over rows: shape (N, 2), a number of each row, and 1.

    Args:
        per_row: (predictions, references, names of the classes) → a number for each row. Shape (N,).
    """

    def statistics(predictions: Sequence[Any], references: Sequence[Any], labels: Sequence[str]) -> Floats:
        numbers = np.asarray(per_row(predictions, references, labels), np.float64)
        return np.stack([numbers, np.ones(len(numbers))], axis=1)

    return statistics


def mean(sums: Floats) -> Floats:
    """Sums → mean. (..., 2) → (...)."""
    return divide(sums[..., 0], sums[..., 1])
