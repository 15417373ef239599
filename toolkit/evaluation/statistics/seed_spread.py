"""Mean and spread of the metrics over runs with different seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.clusters import Floats, Integers, standard_error
from toolkit.metrics import Metric

Bounds = tuple[float, float]
ANY: Bounds = (-math.inf, math.inf)
_OF = {
    "auroc": (0.0, 1.0),
    **dict.fromkeys(("matthews", "quadratic_kappa", "pearson", "spearman"), (-1.0, 1.0)),
    "r2": (-math.inf, 1.0),
    **dict.fromkeys(("mae", "rmse", "ordinal_mae"), (0.0, math.inf)),
}


def section(
    names: Sequence[str],
    reports: Sequence[Mapping[str, Any]],
    predictions: Sequence[Sequence[Any]],
    row_errors: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Any]:
    """Summarize several runs that differ in their seed and were evaluated on the same rows.

    The interval of the mean is for other rows and other seeds together: see `summary`. The spread is the standard
    deviation with n - 1.

    Args:
        names: Of the runs.
        reports: Their reports.
        predictions: Of each run for the rows, in one order.
        row_errors: Name of a metric → standard error of its mean over the runs by the sample of rows, from `row_error`;
            for others the mean of the runs' own, which is not smaller, and none where they have no interval.
    """
    evaluations = [report["evaluation"] for report in reports]
    confidence = evaluations[0]["confidence"]
    by_name = [{figure["name"]: figure for figure in evaluation["metrics"]} for evaluation in evaluations]
    common = [name for name in by_name[0] if all(name in figures for figures in by_name)]
    agreed = sum(all(prediction == row[0] for prediction in row) for row in zip(*predictions, strict=True))
    of_numbers = any(isinstance(prediction, float) for prediction in predictions[0])  # which are seldom the same
    return {
        "rows": evaluations[0]["rows"],
        "split": evaluations[0]["split"],
        "confidence": confidence,
        "runs": [
            {"name": name, "seed": report["config"]["training"]["seed"], "metrics": evaluation["metrics"]}
            for name, report, evaluation in zip(names, reports, evaluations, strict=True)
        ],
        "summary": [
            {key: by_name[0][name][key] for key in ("name", "title", "unit", "better") if key in by_name[0][name]}
            | summary(
                [figures[name]["value"] for figures in by_name],
                confidence,
                _bounds(by_name[0][name]),
                row_errors.get(name, _own_error([figures[name] for figures in by_name], confidence)),
            )
            for name in common
        ],
        "agreement": agreed / len(predictions[0]) if not of_numbers else None,
    }


def row_error(
    metric: Metric,
    predictions: Sequence[Sequence[Any]],
    references: Sequence[Any],
    labels: Sequence[str],
    clusters: Integers | None,
) -> float:
    """Return the standard error, by the sample of rows, of the mean of a metric over runs (jackknife).

    Args:
        metric: The metric.
        predictions: Of each run for the rows.
        references: The truth.
        labels: Names of the classes.
        clusters: Number of each row's cluster; None where rows are independent. Shape (rows,).
    """
    each = [metric.statistics(given, references, labels) for given in predictions]
    width = each[0].shape[1]

    def averaged(sums: Floats) -> Floats:
        parts = [
            np.asarray(metric.aggregate(sums[..., start : start + width])) for start in range(0, sums.shape[-1], width)
        ]
        return np.asarray(np.mean(parts, axis=0), np.float64)

    return standard_error(np.concatenate(each, axis=1), averaged, clusters)


def _own_error(figures: Sequence[Mapping[str, Any]], confidence: float) -> float:
    if any(figure.get("low") is None for figure in figures):
        return 0.0
    widths = [figure["high"] - figure["low"] for figure in figures]
    return statistics.fmean(widths) / 2 / statistics.NormalDist().inv_cdf(0.5 + confidence / 2)


def summary(
    values: Sequence[float], confidence: float, bounds: Bounds = ANY, row_error: float = 0.0
) -> dict[str, float]:
    """Return mean, its interval within `bounds`, standard deviation and range of some values; at least two.

    The variance of the mean is the sum of that by the sample of rows and that by seeds. Its interval is Student's with
    the degrees of freedom of Satterthwaite 1946, "An Approximate Distribution of Estimates of Variance Components".
    What seeds and rows add together is in both parts, so the interval is a little too wide (Owen 2007, "The Pigeonhole
    Bootstrap").
    """
    from scipy.stats import t

    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    of_seeds = deviation**2 / len(values)
    variance = of_seeds + (row_error**2 if math.isfinite(row_error) else 0.0)
    degrees = (len(values) - 1) * (variance / of_seeds) ** 2 if of_seeds else math.inf
    half = float(t.ppf(0.5 + confidence / 2, degrees)) * math.sqrt(variance)
    return {
        "value": mean,
        "low": max(mean - half, bounds[0]),
        "high": min(mean + half, bounds[1]),
        "deviation": deviation,
        "lowest": min(values),
        "highest": max(values),
    }


def _bounds(figure: Mapping[str, Any]) -> Bounds:
    """Return between which values a figure lies by its definition."""
    return _OF.get(figure["name"], (0.0, 1.0) if figure["unit"] == "fraction" else ANY)
