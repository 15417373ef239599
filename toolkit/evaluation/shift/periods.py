"""Many looks: at which level each batch is tested, so that a long watch does not raise false alarms.

Batches are counted in periods of a fixed number of looks. Each look of a period has an equal part of the error, so that
the probability of any false alarm in a period is at most the error, however batches depend on each other and on the
reference rows, which are the same for all (Bonferroni; as `looks` of a gate).
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """One test of a series.

    Attributes:
        period: Number of its period, from 1.
        number: Its number in the period, from 1.
        level: At which it tests.
    """

    period: int
    number: int
    level: float


def next_look(earlier: Sequence[Look], error: float, looks: int) -> Look:
    """Return the next look: the next one of its period, or the first of a new one where the error is spent.

    Args:
        earlier: All looks before it, the last one last.
        error: Probability of any false alarm in a period.
        looks: Planned in a period; may differ from earlier calls, since the levels are what is summed.
    """
    level = error / looks
    period = earlier[-1].period if earlier else 1
    own = [look for look in earlier if look.period == period]
    if sum(look.level for look in own) + level > error * (1 + 1e-9):
        return Look(period + 1, 1, level)
    return Look(period, len(own) + 1, level)
