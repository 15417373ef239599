"""Answers only where a promise on errors holds, and sets of classes that hold the true one.

Both promises are for new rows of the distribution of the validation rows (exchangeable ones), which the model was not
trained on. With groups of rows, whole groups are the independent units.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.evaluation.statistics import clusters as clusters_
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import Floats
from toolkit.evaluation.statistics.promises.conformal import half_width

DOUBT = 0.1  # probability that the promise on errors does not hold, over draws of the validation rows
MOST = 5000  # validation rows that are kept
STARTS = 4  # thresholds with a part of the doubt
STEPS = 60  # thresholds that are tested
DECIMALS = 6  # of scores
_ROUNDING = 1e-9  # of a limit


def kept(
    probabilities: Sequence[Any] | Floats, truth: Sequence[int], groups: Integers | None = None, seed: int = 0
) -> dict[str, Any]:
    """Return what a model keeps of its validation rows: JSON values.

    Args:
        probabilities: Of each class, for each row. Shape (N, C).
        truth: The true classes. Shape (N,).
        groups: Number of each row's group; None where rows are independent. Shape (N,).
        seed: Decides which rows are kept of more than `MOST`.

    Returns:
        For each row "score", the highest probability, "right", "true", the probability of the true class, and "label",
        its number; with groups also "group".
    """
    table, labels = np.asarray(probabilities, np.float64), np.asarray(truth, np.int64)
    if len(labels) > MOST:
        chosen = np.random.default_rng(seed).choice(len(labels), MOST, replace=False)
        table, labels, groups = table[chosen], labels[chosen], clusters_.kept(groups, chosen)
    rows = {
        "score": np.round(table.max(axis=1), DECIMALS).tolist(),
        "right": (table.argmax(axis=1) == labels).astype(int).tolist(),
        "true": np.round(table[np.arange(len(labels)), labels], DECIMALS).tolist(),
        "label": labels.tolist(),
    }
    return {**rows, "group": groups.tolist()} if groups is not None else rows


def threshold(rows: Mapping[str, Sequence[Any]], most_error: float, doubt: float = DOUBT) -> float | None:
    """Return the lowest score from which on at most a share `most_error` of the predictions is wrong.

    Thresholds are tested from high ones to low ones, each for the hypothesis that more are wrong. A few of them have an
    equal part of the `doubt`, so that mistakes among the highest scores do not end all; a test whose hypothesis is
    rejected passes its level on to the next one, which adds its own part (fallback procedure).

    Sources: Angelopoulos et al. 2021, "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control",
    sections 3 and 4.1 (binomial p-values); Wiens and Dmitrienko 2005, "The Fallback Procedure for Evaluating a Single
    Family of Hypotheses".

    Args:
        rows: From `kept`.
        most_error: For example 0.05.
        doubt: Probability that the returned threshold breaks the promise.

    Returns:
        None where no threshold can be promised.
    """
    scores = np.asarray(rows["score"], np.float64)
    order = np.argsort(-scores, kind="stable")
    scores, wrong = scores[order], 1 - np.asarray(rows["right"], np.int64)[order]
    groups = np.asarray(rows["group"], np.int64)[order] if "group" in rows else None
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) + 1  # rows with a score of at least some value
    least = math.ceil(math.log(doubt / STARTS) / math.log(1 - most_error))
    ends = ends[ends >= least]
    if not len(ends):
        return None
    tested = ends[np.unique(np.linspace(0, len(ends) - 1, STEPS).round().astype(int))]
    starts = set(np.linspace(0, len(tested) - 1, STARTS + 1).round().astype(int)[:-1].tolist())
    best, level = -1, 0.0
    for place, end in enumerate(tested):
        level += doubt / len(starts) if place in starts else 0.0
        if not level:
            continue
        if _p(wrong[:end], None if groups is None else groups[:end], most_error) <= level:
            best = place
        else:
            level = 0.0
    return float(scores[tested[best] - 1]) if best >= 0 else None


def _p(wrong: Integers, groups: Integers | None, most_error: float) -> float:
    """Return the probability of so few mistakes, or fewer, at an error rate of `most_error`."""
    from scipy.stats import binom, t

    if groups is None:
        return float(binom.cdf(int(wrong.sum()), len(wrong), most_error))
    numbers = np.unique(groups, return_inverse=True)[1]
    count = int(numbers.max()) + 1
    mean = float(wrong.mean())
    if count < 2 or not wrong.any():
        return float((1 - most_error) ** count)  # without a mistake each group counts as one row
    sums = np.bincount(numbers, wrong - mean)
    error = math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(wrong)
    return float(t.sf((most_error - mean) / max(error, 1e-12), count - 1))


def set_limits(
    rows: Mapping[str, Sequence[Any]], coverage: float, classes: int, *, by_class: bool = False
) -> list[float] | None:
    """Return the probability from which on each class is in the set that holds the true one with a probability.

    It is 1 - q, where q is the k-th smallest of 1 - (probability of the true class), k = ⌈(n + 1) × coverage⌉; by class
    over the rows of each class, which promises the coverage for each class. Groups of rows have equal weights, as of
    `conformal.half_width`.

    Source: Sadinle, Lei and Wasserman 2019, "Least Ambiguous Set-Valued Classifiers With Bounded Error Levels".

    Args:
        rows: From `kept`.
        coverage: For example 0.9.
        classes: C.
        by_class: Whether each class has a limit of its own.

    Returns:
        C limits, 0 for a class of too few rows; None where there are too few rows for all.
    """
    true, labels = np.asarray(rows["true"], np.float64), np.asarray(rows["label"], np.int64)
    groups = np.asarray(rows["group"], np.int64) if "group" in rows else None
    if by_class:
        limits = [_limit(true, coverage, groups, labels == number) for number in range(classes)]
    else:
        limits = [_limit(true, coverage, groups, np.ones(len(true), bool))] * classes
    return None if all(limit is None for limit in limits) else [limit or 0.0 for limit in limits]


def least_coverage(rows: Mapping[str, Sequence[Any]], coverage: float, error: float) -> float:
    """Return the coverage that sets for these validation rows fall below with a probability of `error` at most.

    A promised coverage is the average over draws of validation rows. With n of them that of a given draw has the
    distribution Beta(k, n + 1 - k), k = ⌈(n + 1) × coverage⌉, or more where probabilities are equal; groups of rows
    count as one row each.

    Source: Vovk 2012, "Conditional Validity of Inductive Conformal Predictors", proposition 2b.

    Args:
        rows: From `kept`.
        coverage: For example 0.9; of a promise that these rows are enough for.
        error: For example 0.05.
    """
    from scipy.stats import beta

    units = len(np.unique(rows["group"])) if "group" in rows else len(rows["true"])
    rank = math.ceil((units + 1) * coverage - _ROUNDING)
    return float(beta.ppf(error, rank, units + 1 - rank))


def _limit(true: Floats, coverage: float, groups: Integers | None, among: Any) -> float | None:
    width = half_width(1 - true[among], coverage, clusters_.kept(groups, among))
    return None if width is None else 1 - width


def sets_of(probabilities: Sequence[Any] | Floats, limits: Sequence[float]) -> Any:
    """Return which classes are in the set of each row; the most probable one always is. Shape (N, C)."""
    table = np.asarray(probabilities, np.float64)
    inside = table >= np.asarray(limits) - _ROUNDING
    inside[np.arange(len(table)), table.argmax(axis=1)] = True
    return inside
