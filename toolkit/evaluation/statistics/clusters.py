"""Rows that depend on each other: clusters, such as the pictures of a patient, are what a sample is drawn of.

Wherever a function here or in a sibling takes `clusters`, it is the number of each row's cluster, from 0, without gaps;
None where rows are independent. Intervals then resample clusters (Field and Welsh 2007, "Bootstrapping Clustered
Data"), and tests flip the signs of whole clusters (Hemerik, Goeman and Finos 2020, "Robust Testing in Generalized
Linear Models by Sign Flipping Score Contributions").
"""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

FEW = 10.0  # effective clusters, below which no procedure here is reliable
_MOST_SPREADS = 4.0  # standard errors to which a level is widened: the range of a few thousand resamples


def sums(statistics: Floats, clusters: Integers | None) -> Floats:
    """Sum the statistics of the rows of each cluster; unchanged where rows are independent. (N, S) → (G, S)."""
    if clusters is None:
        return statistics
    totals = np.zeros((count(clusters), statistics.shape[1]))
    np.add.at(totals, clusters, statistics)
    return totals


def count(clusters: Integers) -> int:
    """Return the number of clusters."""
    return int(clusters.max()) + 1


def kept(clusters: Integers | None, rows: Any) -> Integers | None:
    """Number the clusters of some of the rows, which may be repeated, anew from 0."""
    if clusters is None:
        return None
    numbers: Integers = np.unique(clusters[rows], return_inverse=True)[1].astype(np.int64)
    return numbers


def effective(clusters: Integers) -> float:
    """Return the number of clusters of equal size that say as much as these: (Σ n)² / Σ n².

    Source: Carter, Schnepel and Steigerwald 2017, "Asymptotic Behavior of a t-Test Robust to Cluster Heterogeneity".
    """
    sizes = np.bincount(clusters).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def quantile(confidence: float, clusters: Integers | None) -> float:
    """Return how many standard errors an interval extends to each side.

    That is the normal quantile, or with clusters Student's, with one degree of freedom fewer than there are effective
    clusters.
    """
    if clusters is None:
        return NormalDist().inv_cdf(0.5 + confidence / 2)
    return student(confidence, effective(clusters) - 1)


def student(confidence: float, freedom: float) -> float:
    """Return Student's quantile: the normal one for infinitely many degrees of freedom, and at least one of them."""
    from scipy.stats import t

    return float(t.ppf(0.5 + confidence / 2, max(freedom, 1.0)))


def widened(confidence: float, clusters: Integers | None) -> float:
    """Return the level at which a bootstrap interval over clusters has the coverage `confidence`.

    Resamples of G clusters vary too little by the factor √((G - 1) / G), and their quantiles are those of a normal
    distribution where Student's would be right; both matter where clusters are few.

    Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 4.1 (expanded percentiles).
    """
    if clusters is None:
        return confidence
    groups = max(effective(clusters), 2.0)
    spreads = min(math.sqrt(groups / (groups - 1)) * quantile(confidence, clusters), _MOST_SPREADS)
    return 2 * NormalDist().cdf(spreads) - 1


def flips(clusters: int, draws: int, seed: int) -> Floats:
    """Draw a sign for each cluster. Shape (draws, clusters)."""
    signs: Floats = np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), (draws, clusters))
    return signs


def flipped_p(contributions: Floats, statistic: Callable[[Floats], Floats], draws: int, seed: int) -> float:
    """Return the probability of a statistic at least as large if the signs of clusters were arbitrary.

    Args:
        contributions: What each cluster adds to some sums that are 0 on average by the hypothesis. Shape (G, S).
        statistic: Sums → statistic. Shape (B, S) → (B,).
        draws: B.
        seed: Of the signs.
    """
    observed = statistic(contributions.sum(axis=0)[None])[0]
    drawn = statistic(flips(len(contributions), draws, seed) @ contributions)
    return float((1 + (drawn >= observed - 1e-9).sum()) / (1 + draws))


def standard_error(statistics: Floats, aggregate: Callable[[Floats], Floats], clusters: Integers | None) -> float:
    """Return the standard error of a figure by the jackknife over rows or clusters; NaN where it has none.

    Args:
        statistics: One row an example. Shape (N, S).
        aggregate: Sums → figure. Shape (..., S) → (...).
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
    """
    with np.errstate(all="ignore"):
        left_out = np.asarray(aggregate(statistics.sum(axis=0) - sums(statistics, clusters)), np.float64)
    return math.sqrt(_jackknife_variance(left_out))


def design_effect(statistics: Floats, aggregate: Callable[[Floats], Floats], clusters: Integers) -> float | None:
    """Return by what factor clusters increase the variance of a figure, by the jackknife; None where it has none.

    Source: Kish 1965, "Survey Sampling", section 8.2.

    Args:
        statistics: One row an example. Shape (N, S).
        aggregate: Sums → figure. Shape (..., S) → (...).
        clusters: Number of each row's cluster. Shape (N,).
    """
    total = statistics.sum(axis=0)
    with np.errstate(all="ignore"):
        parts = (np.asarray(aggregate(total - units), np.float64) for units in (statistics, sums(statistics, clusters)))
        of_rows, of_clusters = (_jackknife_variance(left_out) for left_out in parts)
    return of_clusters / of_rows if of_rows > 0 and math.isfinite(of_clusters) else None


def _jackknife_variance(left_out: Floats) -> float:
    known = left_out[np.isfinite(left_out)]
    return float(np.var(known) * (len(known) - 1)) if len(known) > 1 else math.nan
