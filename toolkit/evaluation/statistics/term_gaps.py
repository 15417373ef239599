"""Whether predictions differ between groups of people more than between the terms that name people of one group.

Every text is predicted with a term of each group. A model scores every name a little differently, and the same names
fill many texts, so texts are no independent observations: the mean of each term over its texts is one. Groups stand
side by side in the same texts, whose own level cancels out.

The gap of a group is the coefficient of its indicator in a regression of these means, in which the terms that replace
each other share an intercept. With two groups that is Student's paired test over pairs of terms (Student 1908, "The
Probable Error of a Mean"); with one term for each group it is the deletion residual of a group among the others (Cook
and Weisberg 1982, "Residuals and Influence in Regression", section 2.2.2). It assumes that terms vary alike in all
groups. Terms are a random effect as in Clark 1973, "The Language-as-Fixed-Effect Fallacy".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.clusters import Floats, Integers
from toolkit.evaluation.statistics.intervals import Interval

_ROUNDING = 1e-9  # of scores, which is no difference between terms


@dataclass(frozen=True)
class Gaps:
    """How much higher each group is scored than the mean of the others.

    Attributes:
        values: Shape (G,).
        errors: Standard errors. Shape (G,).
        degrees: Of freedom; 0 where two groups have one term each, and nothing can be tested.
    """

    values: Floats
    errors: Floats
    degrees: int

    def interval(self, group: int, confidence: float) -> Interval | None:
        """Return a group's gap with Student's interval; None where nothing can be tested."""
        if not self.degrees:
            return None
        from scipy.stats import t

        value = float(self.values[group])
        half = float(t.ppf(0.5 + confidence / 2, self.degrees)) * float(self.errors[group])
        return Interval(value, value - half, value + half)


@dataclass(frozen=True)
class Means:
    """Mean score of each term over its texts.

    Attributes:
        terms: Number of the terms that stand for each other in the groups. Shape (P,).
        scores: Shape (P, G).
    """

    terms: Sequence[int]
    scores: Floats

    def as_dict(self) -> dict[str, Any]:
        """Return them as a report holds them."""
        return {"terms": list(self.terms), "scores": self.scores.tolist()}


def means(scores: Floats, terms: Integers) -> Means:
    """Return the mean score of each term.

    Args:
        scores: Of each text in the version of each group. Shape (N, G).
        terms: Number of the terms that fill a text, which stand for each other in the groups. Shape (N,).
    """
    numbers, place, texts = np.unique(terms, return_inverse=True, return_counts=True)
    sums = np.zeros((len(texts), scores.shape[1]))
    np.add.at(sums, place, scores)
    return Means(numbers.tolist(), sums / texts[:, None])


def gaps(scores: Floats, terms: Integers) -> Gaps:
    """Return the gap of each group; arguments as of `means`."""
    return of_means(means(scores, terms).scores)


def of_means(means: Floats) -> Gaps:
    """Return the gap of each group by the mean score of each term. Shape (P, G)."""
    places, groups = means.shape
    deviations = means - means.mean(axis=1, keepdims=True)
    deviations[np.abs(deviations) < _ROUNDING] = 0.0
    values = deviations.mean(axis=0) * groups / (groups - 1)
    freedom = degrees(places, groups)
    # squares left after the place and the group: both are orthogonal, so no regression need be solved
    left = (deviations**2).sum() - values**2 * places * (groups - 1) / groups
    variance = np.maximum(left, 0.0) / max(freedom, 1)
    return Gaps(values, np.sqrt(variance * groups / ((groups - 1) * places)), freedom)


def degrees(terms: int, groups: int) -> int:
    """Return the degrees of freedom of the gaps of groups that have so many terms each."""
    return terms * (groups - 1) - 1


def growth(old: Gaps, change: Gaps, group: int, error: float) -> Interval:
    """Return by how much the gap of a group grew, without its sign.

    The gaps of the differences of two models' means are those of the one model minus those of the other, and what the
    terms have in common cancels out. The new gap is the old one plus the change, and each end of the interval is the
    extreme for all values in the intervals of both, which err with half the probability each.

    Args:
        old: Gaps of the old model.
        change: Gaps of the means of the new model minus those of the old one.
        group: Number of the group.
        error: Probability that the true growth is below the lower end, and that it is above the upper one.
    """
    before, by = (part.interval(group, 1 - error / 2) for part in (old, change))
    assert before is not None
    assert by is not None
    olds = np.clip([before.low, before.high, 0.0, -by.low, -by.high], before.low, before.high)[:, None]
    changes = np.clip([by.low, by.high, -before.low, -before.high], by.low, by.high)[None]
    growths = np.abs(olds + changes) - np.abs(olds)  # its extremes lie at ends and where a gap is zero
    value = abs(before.value + by.value) - abs(before.value)
    return Interval(value, min(value, float(growths.min())), max(value, float(growths.max())))
