"""The report's sections on predicted numbers: their residuals, the coverage of their intervals, the largest errors.

A residual is the prediction minus the true value.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import scores
from toolkit.evaluation.checks.slices import quarters
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.clusters import Integers, kept
from toolkit.evaluation.statistics.intervals import Interval, bootstrap, share
from toolkit.metrics.base import Floats
from toolkit.metrics.classification import divide
from toolkit.metrics.means import mean

ERRORS = 20  # rows that a report shows
DRAWN = 500  # rows of a plot


def sections(context: EvaluationContext) -> dict[str, Any]:
    """Return the residuals and the largest errors."""
    predicted = np.asarray(context.columns["prediction"], np.float64)
    true = np.asarray(context.references, np.float64)
    settings = context.config.evaluation
    return {
        "residuals": section(
            predicted, true, context.calibration, settings, context.seed, context.clusters, context.claims
        ),
        "errors": _largest(context, predicted - true),
    }


def section(
    predicted: Floats,
    true: Floats,
    calibration: Mapping[str, Any],
    config: EvaluationConfig,
    seed: int,
    clusters: Integers | None = None,
    claims: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the report's section on residuals.

    Args:
        predicted: Shape (N,).
        true: Shape (N,).
        calibration: Stored with the model: "half_width" and "coverage" of prediction intervals.
        config: Confidence and resamples.
        seed: Of the bootstrap.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
        claims: Confidence that predictions are on one side ("centre"), and that errors are larger in some quarter
            ("quarters"), as of `EvaluationContext.claims`; that of the settings where it is missing.
    """
    centre, claimed = (claims.get(kind, config.confidence) for kind in ("centre", "quarters"))
    settings: dict[str, Any] = {"resamples": config.resamples, "seed": seed}
    residuals = predicted - true
    groups = [group.members for group in quarters("value", true)]
    joint = 1 - (1 - claimed) / max(1, len(groups))
    rows = []
    for members in groups:
        inside = np.zeros(len(true), bool)
        inside[members] = True
        errors, ones = np.abs(residuals), np.ones(len(true))
        parts = [part * side for side in (inside, ~inside) for part in (errors, ones)]
        ahead = bootstrap(np.stack(parts, axis=1), _difference, confidence=joint, **settings, clusters=clusters)
        own = {**settings, "clusters": kept(clusters, members)}
        rows.append(
            {
                "low": float(true[members].min()),
                "high": float(true[members].max()),
                "rows": len(members),
                "error": _mean(errors[members], config.confidence, own),
                "residual": _mean(residuals[members], config.confidence, own),
                "difference": _as_dict(ahead),
                "worse": ahead.low > 0,
            }
        )
    return {
        "mean": _mean(residuals, centre, {**settings, "clusters": clusters}),
        "mean_confidence": centre,
        "claims_confidence": claimed,
        "intervals": coverage(residuals, calibration, config.confidence, clusters),
        "quarters": rows,
        "quarters_confidence": joint,
        "drawn": np.stack([true, predicted], axis=1)[_spread(residuals)].tolist(),
    }


def coverage(
    residuals: Floats, calibration: Mapping[str, Any], confidence: float, clusters: Integers | None = None
) -> dict[str, Any] | None:
    """Return how many of these rows prediction intervals of the stored width contain (Wilson); None without one."""
    width, nominal = (calibration.get(key) for key in ("half_width", "coverage"))
    if not isinstance(width, int | float) or not isinstance(nominal, int | float):
        return None
    inside = share(np.abs(residuals) <= width, np.ones(len(residuals), bool), confidence, clusters)
    return {"half_width": float(width), "nominal": float(nominal), "observed": _as_dict(inside)}


def _difference(sums: Floats) -> Floats:
    """Sums (..., 4) of errors and rows inside and outside of a group → difference of the two means, (...)."""
    return divide(sums[..., 0], sums[..., 1]) - divide(sums[..., 2], sums[..., 3])


def _mean(values: Floats, confidence: float, settings: Mapping[str, Any]) -> dict[str, float | None]:
    statistics = np.stack([values, np.ones(len(values))], axis=1)
    return _as_dict(bootstrap(statistics, mean, confidence=confidence, **settings))


def _as_dict(interval: Interval) -> dict[str, float | None]:
    """Return an interval as the report holds it; without ends where resampling had no variance."""
    known = interval.low < interval.high
    low, high = (interval.low, interval.high) if known else (None, None)
    return {"value": interval.value, "low": low, "high": high}


def _spread(residuals: Floats) -> Sequence[int]:
    """Return the rows that are drawn: all, or some evenly spaced by their residuals, the extreme ones among them."""
    order = np.argsort(residuals, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(DRAWN, len(order))).round().astype(np.int64))
    return [int(row) for row in order[places]]


def _largest(context: EvaluationContext, residuals: Floats) -> list[dict[str, Any]]:
    """Return the rows with the largest errors, the largest first."""
    target, inputs = context.recipe.target, context.recipe.task.inputs
    chosen = [int(row) for row in np.argsort(-np.abs(residuals), kind="stable")[:ERRORS] if residuals[row]]
    samples = context.rows.take(pa.array(chosen, pa.int64())).to_pylist()
    return [
        {
            "file": sample.get("_file"),
            "row": sample.get("_row"),
            "text": scores.shown_text(sample, inputs),
            "label": target.shown(context.references[row], context.labels),
            "prediction": target.shown(context.columns["prediction"][row], context.labels),
            "residual": float(residuals[row]),
            **scores.thumbnail(sample, inputs),
        }
        for row, sample in zip(chosen, samples, strict=True)
    ]
