"""Rows of a batch that cannot be predicted, beside those that the run's own data had.

The counts are compared by Fisher's exact test, one-sided: only more such rows are an alarm. Rows of a group become
unreadable together, so nothing is claimed of grouped rows.
"""

from dataclasses import dataclass

PART = 0.1  # of the level of a batch; the comparison of the readable rows has the rest


@dataclass(frozen=True)
class Count:
    """Rows that cannot be predicted.

    Attributes:
        rows: How many they are.
        of: Of how many rows.
    """

    rows: int
    of: int


@dataclass(frozen=True)
class Unreadable:
    """The comparison of two counts.

    Attributes:
        new: Of the batch.
        reference: Of the data of the run.
        level: At which it was tested.
        p: Probability of as many in the batch if it is like the run's data; None where it was not tested.
        claimed: Whether more rows than usual cannot be predicted.
    """

    new: Count
    reference: Count
    level: float
    p: float | None
    claimed: bool


def compare(new: Count, reference: Count, level: float, *, grouped: bool) -> Unreadable:
    """Test whether more rows of a batch than of the run's data cannot be predicted.

    Args:
        new: Of the batch.
        reference: Of the data of the run.
        level: Probability of a false claim.
        grouped: Whether rows belong to groups.
    """
    if grouped or not reference.of:
        return Unreadable(new, reference, level, None, claimed=False)
    from scipy.stats import fisher_exact

    table = [[count.rows, count.of - count.rows] for count in (new, reference)]
    p = float(fisher_exact(table, alternative="greater").pvalue)
    return Unreadable(new, reference, level, p, claimed=p <= level)
