"""Integrated gradients with as many steps as their sum needs.

The scores of integrated gradients add up to the difference between the input and the empty one (completeness;
Sundararajan et al. 2017). A sum over too few steps misses it, and its scores are those of another path.
"""

from collections.abc import Callable
from typing import Any

FIRST, MOST = 16, 256  # steps
TOLERANCE = 0.01  # of the difference, by which the sum may miss it
LEAST = 0.1  # log odds, or units of a number: a smaller difference counts as this much
TOGETHER = 16  # steps in one batch


def converged(attribute: Callable[[int], tuple[Any, Any]]) -> tuple[Any, float]:
    """Double the steps until the scores add up to the difference, or there are too many.

    Args:
        attribute: Number of steps → the scores, and by how much their sum exceeds the difference, as captum gives them.

    Returns:
        The scores, and the share of the difference by which their sum misses it.
    """
    steps = FIRST
    while True:
        values, excess = attribute(steps)
        missed = float(excess.double().sum())
        difference = float(values.double().sum()) - missed
        error = abs(missed) / max(abs(difference), LEAST)
        if error <= TOLERANCE or steps >= MOST:
            return values, error
        steps *= 2
