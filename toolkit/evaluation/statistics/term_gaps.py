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

from dataclasses import dataclass

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


def gaps(scores: Floats, terms: Integers) -> Gaps:
    """Return the gap of each group.

    Args:
        scores: Of each text in the version of each group. Shape (N, G).
        terms: Number of the terms that fill a text, which stand for each other in the groups. Shape (N,).
    """
    _, place, texts = np.unique(terms, return_inverse=True, return_counts=True)
    means = np.zeros((len(texts), scores.shape[1]))  # (P, G)
    np.add.at(means, place, scores)
    means /= texts[:, None]
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
