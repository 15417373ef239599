"""Intervals of single predictions that hold in finite samples: split conformal prediction."""

import math
from collections.abc import Sequence

import numpy as np

_ROUNDING = 1e-9  # of a product such as 10 × 0.7


def half_width(residuals: Sequence[float], coverage: float) -> float | None:
    """Return the half width w for which prediction ± w contains the truth with the probability `coverage`, or more.

    It is the k-th smallest absolute residual, k = ⌈(n + 1) × coverage⌉. The probability is over the validation rows
    and a new row of the same distribution together; the widths are the same for every row.

    Source: Lei et al. 2018, "Distribution-Free Predictive Inference for Regression", section 2.2.

    Args:
        residuals: Prediction minus truth on n validation rows that the model was not trained on; the sign is ignored.
        coverage: For example 0.9.

    Returns:
        None where n is too small for this coverage, or where too many residuals are not finite.
    """
    rank = max(1, math.ceil((len(residuals) + 1) * coverage - _ROUNDING))
    if rank > len(residuals):
        return None
    width = float(np.sort(np.abs(np.asarray(residuals, np.float64)))[rank - 1])  # NaN comes last
    return width if math.isfinite(width) else None
