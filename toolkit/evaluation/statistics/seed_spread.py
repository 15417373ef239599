"""Mean and spread of the metrics over runs with different seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Bounds = tuple[float, float]
ANY: Bounds = (-math.inf, math.inf)
_OF = {
    "auroc": (0.0, 1.0),
    **dict.fromkeys(("matthews", "quadratic_kappa", "pearson", "spearman"), (-1.0, 1.0)),
    "r2": (-math.inf, 1.0),
    **dict.fromkeys(("mae", "rmse", "ordinal_mae"), (0.0, math.inf)),
}


def section(
    names: Sequence[str], reports: Sequence[Mapping[str, Any]], predictions: Sequence[Sequence[Any]]
) -> dict[str, Any]:
    """Summarize several runs that differ in their seed and were evaluated on the same rows.

    The interval of the mean is Student's, over the runs: it describes the uncertainty of the mean over all seeds, and
    not that of the rows. The spread is the standard deviation with n - 1.

    Args:
        names: Of the runs.
        reports: Their reports.
        predictions: Of each run for the rows, in one order.
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
            | summary([figures[name]["value"] for figures in by_name], confidence, _bounds(by_name[0][name]))
            for name in common
        ],
        "agreement": agreed / len(predictions[0]) if not of_numbers else None,
    }


def summary(values: Sequence[float], confidence: float, bounds: Bounds = ANY) -> dict[str, float]:
    """Return mean, its interval within `bounds`, standard deviation and range of some values; at least two."""
    from scipy.stats import t

    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    half = float(t.ppf(0.5 + confidence / 2, len(values) - 1)) * deviation / len(values) ** 0.5
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
