"""Uncertainty of times: rounds of repeated passes, apart in time, are what a sample of times is drawn of.

Passes that follow each other are slow or fast together, as the machine is. So the median of each round is one
observation, and a median time has Student's interval over rounds, on the scale of logarithms. Two models that were
timed apart are compared by Welch's interval of the ratio. What differs from one start of the program to the next is in
neither interval.

Source: Georges, Buytaert and Eeckhout 2007, "Statistically Rigorous Java Performance Evaluation", sections 3.2 and 3.4.
"""

import math
from collections.abc import Sequence

import numpy as np

from toolkit.evaluation.statistics.clusters import student
from toolkit.evaluation.statistics.intervals import Interval

_LEAST_SPREAD = 1e-9  # of logarithms, for clocks that do not resolve the differences


def typical(rounds: Sequence[float], confidence: float) -> Interval:
    """Return the geometric mean of the medians of two rounds or more, with its interval."""
    centre, variance, freedom = _moments(rounds)
    half = student(confidence, freedom) * math.sqrt(variance)
    return Interval(*(math.exp(centre + sign * half) for sign in (0, -1, 1)))


def ratio(first: Sequence[float], second: Sequence[float], error: float) -> Interval:
    """Return how many times as long the first takes as the second.

    Source: Welch 1947, "The Generalization of 'Student's' Problem when Several Different Population Variances are
    Involved".

    Args:
        first: Medians of its rounds, two or more.
        second: The same of the other.
        error: Probability that the true ratio is below the lower end, and that it is above the upper one.
    """
    moments = [_moments(rounds) for rounds in (first, second)]
    variance = sum(part for _, part, _ in moments)
    freedom = variance**2 / sum(part**2 / degrees for _, part, degrees in moments)
    centre, half = moments[0][0] - moments[1][0], student(1 - 2 * error, freedom) * math.sqrt(variance)
    return Interval(*(math.exp(centre + sign * half) for sign in (0, -1, 1)))


def _moments(rounds: Sequence[float]) -> tuple[float, float, int]:
    """Return the mean of the logarithms, its variance, and its degrees of freedom."""
    logarithms = np.log(np.asarray(rounds, np.float64))
    variance = max(float(logarithms.var(ddof=1)), _LEAST_SPREAD**2)
    return float(logarithms.mean()), variance / len(logarithms), len(logarithms) - 1
