"""Intervals of single predictions that hold in finite samples: split conformal prediction."""

import math
from collections.abc import Sequence

import numpy as np

from toolkit.evaluation.statistics.clusters import Integers, count

_ROUNDING = 1e-9  # of a product such as 10 × 0.7


def half_width(residuals: Sequence[float], coverage: float, clusters: Integers | None = None) -> float | None:
    """Return the half width w for which prediction ± w contains the truth with the probability `coverage`, or more.

    It is the k-th smallest absolute residual, k = ⌈(n + 1) × coverage⌉. The probability is over the validation rows
    and a new row of the same distribution together; the widths are the same for every row. With clusters the promise is
    for a row of a new cluster: each of G has the same weight, 1 / (G + 1), which its rows share.

    Source: Lei et al. 2018, "Distribution-Free Predictive Inference for Regression", section 2.2; with clusters Lee,
    Barber and Willett 2023, "Distribution-Free Inference with Hierarchical Data", section 3.

    Args:
        residuals: Prediction minus truth on n validation rows that the model was not trained on; the sign is ignored.
        coverage: For example 0.9.
        clusters: Number of each row's cluster; None where rows are independent. Shape (n,).

    Returns:
        None where n, or the number of clusters, is too small for this coverage, or where too many residuals are not
        finite.
    """
    sizes = np.abs(np.asarray(residuals, np.float64))
    if not len(sizes):
        return None
    units = len(sizes) if clusters is None else count(clusters)
    weights = np.ones(len(sizes)) if clusters is None else 1 / np.bincount(clusters)[clusters]
    order = np.argsort(sizes)  # NaN comes last
    rank = int(np.searchsorted(np.cumsum(weights[order]), (units + 1) * coverage - _ROUNDING))
    width = float(sizes[order][rank]) if rank < len(sizes) else math.inf
    return width if math.isfinite(width) else None
