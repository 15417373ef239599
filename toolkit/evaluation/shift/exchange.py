"""Exchanging reference rows and new rows: what every test of a difference between the two is based on.

If both are drawn from one distribution, which of the units are the new ones is arbitrary. A unit is a row, or all rows
of a group where rows of a group depend on each other. A statistic of the true division is compared with those of random
ones, so each test is exact whatever the data look like.

Source: Fisher 1935, "The Design of Experiments", section 21; Hemerik and Goeman 2018, "Exact Testing with Random
Permutations".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.clusters import Floats, Integers, count

Singles = np.ndarray[Any, np.dtype[np.float32]]

FEWEST_DRAWS, MOST_DRAWS = 999, 9999
_DRAWS_BEYOND = 4.0  # random divisions on average that are as extreme as a p-value at the level


@dataclass(frozen=True)
class Division:
    """Reference rows, followed by new rows.

    Attributes:
        reference: Number of reference rows.
        units: Number of each row's unit, from 0; rows of one unit are on one side. Shape (N,).
        grouped: Whether units are groups of rows.
    """

    reference: int
    units: Integers
    grouped: bool

    @property
    def rows(self) -> int:
        """Number of all rows, N."""
        return len(self.units)

    @property
    def is_new(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each row is a new one. Shape (N,)."""
        return np.arange(self.rows) >= self.reference

    def of(self, rows: Integers) -> "Division":
        """Return the division of some of the rows, in ascending order."""
        units = np.unique(self.units[rows], return_inverse=True)[1].astype(np.int64)
        return Division(int((rows < self.reference).sum()), units, self.grouped)

    def units_on(self, new: bool) -> int:
        """Return the number of units on one side."""
        return len(np.unique(self.units[self.is_new == new]))


def division(
    reference: int, new: int, reference_clusters: Integers | None = None, new_clusters: Integers | None = None
) -> Division:
    """Return the division of so many reference rows and new rows.

    Args:
        reference: Number of reference rows.
        new: Number of new rows.
        reference_clusters: Number of each row's group, from 0; None where they are independent.
        new_clusters: The same of the new rows. Groups of both sides are different units.
    """
    first = np.arange(reference) if reference_clusters is None else reference_clusters
    second = np.arange(new) if new_clusters is None else new_clusters
    units = np.concatenate([first, second + (count(first) if reference else 0)]).astype(np.int64)
    return Division(reference, units, reference_clusters is not None or new_clusters is not None)


def draws_for(level: float) -> int:
    """Return how many random divisions a test at a level needs."""
    return int(min(max(FEWEST_DRAWS, np.ceil(_DRAWS_BEYOND / level) - 1), MOST_DRAWS))


def exchanged(rows: Division, draws: int, seed: int) -> Singles:
    """Return which rows are new, as 1 and 0: truly in the first column, then in each random division. (N, 1 + draws).

    Args:
        rows: The rows.
        draws: Number of random divisions.
        seed: Of the draws.
    """
    random = np.random.default_rng([seed, 11])
    of_units = np.zeros(count(rows.units), np.float32)
    of_units[rows.units[rows.is_new]] = 1.0
    drawn = np.stack([of_units, *(random.permutation(of_units) for _ in range(draws))], axis=1)
    return drawn[rows.units]


def p_value(statistics: Floats) -> float:
    """Return the share of divisions whose statistic is at least that of the true one, which is the first."""
    return float((statistics >= statistics[0] - 1e-9).mean())
