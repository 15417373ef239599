"""The report's section on promises of single predictions: errors among answers, and sets that hold the true class.

`predict` leaves rows unanswered for a promise on errors, and gives sets of classes for a promise on their coverage. The
limits for both are those of validation rows; here they are applied to the rows of the evaluation, beside the curve of
errors against the share of rows that are answered (El-Yaniv and Wiener 2010, "On the Foundations of Noise-free
Selective Classification").
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import Floats, Interval, bootstrap, share
from toolkit.evaluation.statistics.promises import selective
from toolkit.metrics.means import mean
from toolkit.metrics.probability import probability_matrix
from toolkit.runs.trust import damage

MOST_ERRORS = (0.01, 0.02, 0.05, 0.1)  # promised of the answers
COVERAGES = (0.8, 0.9, 0.95)  # promised of the sets
POINTS = 40  # of the curve
_UNKNOWN = {"value": None, "low": None, "high": None}


def sections(context: EvaluationContext) -> dict[str, Any]:
    """Return the section; nothing for predictions without probabilities, or without rows."""
    probabilities, stored = context.columns.get("probabilities"), context.stored
    if probabilities is None or not context.rows.num_rows:
        return {}
    given = (probabilities, context.references, context.calibration.get("validation_rows") or {})
    settings: tuple[Any, ...] = (context.config.evaluation, context.seed, context.clusters)
    if stored is None:
        return {"promises": section(*given, *settings)}
    with damage(stored.folder):
        return {"promises": section(*given, *settings)}


def section(
    probabilities: Sequence[Any],
    references: Sequence[int],
    validation: Mapping[str, Sequence[Any]],
    config: EvaluationConfig,
    seed: int,
    clusters: Integers | None = None,
) -> dict[str, Any]:
    """Return what was promised on validation rows, and what came out on these.

    Args:
        probabilities: Of each class, for each row. Shape (N, C).
        references: The true classes.
        validation: From `selective.kept`; empty where nothing can be promised.
        config: Confidence and resamples.
        seed: Of the bootstrap.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
    """
    table, true = probability_matrix(probabilities), np.asarray(references, np.int64)
    scores, wrong = np.round(table.max(axis=1), selective.DECIMALS), table.argmax(axis=1) != true
    level = 1 - (1 - config.confidence) / (len(MOST_ERRORS) + len(COVERAGES))
    result: dict[str, Any] = {
        "confidence": config.confidence,
        "curve": _curve(scores, wrong, config.confidence, clusters),
    }
    if not validation:
        return result
    answers = [_answers(most, selective.threshold(validation, most), scores, wrong, level, clusters)
               for most in MOST_ERRORS]  # fmt: skip
    settings: dict[str, Any] = {"confidence": level, "resamples": config.resamples, "seed": seed, "clusters": clusters}
    return {
        **result,
        "promise_confidence": level,
        "doubt": selective.DOUBT,
        "validation_rows": len(validation["score"]),
        "answers": answers,
        "sets": [_sets(coverage, validation, table, true, settings) for coverage in COVERAGES],
    }


def _curve(scores: Floats, wrong: Any, confidence: float, clusters: Integers | None) -> list[dict[str, Any]]:
    """Return the share of wrong predictions among those from each of some scores on."""
    ordered = np.sort(scores)[::-1]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # equal scores are answered together
    chosen = ends[np.unique(np.linspace(0, len(ends) - 1, POINTS).round().astype(int))]
    return [
        {
            "threshold": float(ordered[end]),
            "answered": float((end + 1) / len(scores)),
            "error": _as_dict(share(wrong, scores >= ordered[end], confidence, clusters)),
        }
        for end in chosen
    ]


def _answers(
    most: float, threshold: float | None, scores: Floats, wrong: Any, confidence: float, clusters: Integers | None
) -> dict[str, Any]:
    """Return how many rows are answered at a threshold, and how many of the answers are wrong."""
    answered = np.zeros(len(scores), bool) if threshold is None else scores >= threshold
    error = share(wrong, answered, confidence, clusters) if answered.any() else None
    everything = np.ones(len(scores), bool)
    return {
        "promised": most,
        "threshold": threshold,
        "answered": _UNKNOWN if threshold is None else _as_dict(share(answered, everything, confidence, clusters)),
        "error": _UNKNOWN if error is None else _as_dict(error),
        "broken": error is not None and error.low > most,
    }


def _sets(
    coverage: float,
    validation: Mapping[str, Sequence[Any]],
    table: Floats,
    true: Integers,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return how many sets hold the true class, and how many classes they hold on average.

    The promise is an average over draws of validation rows, so it is broken where a one-sided interval (half of the
    error) is below what a draw explains (the other half).
    """
    limits = selective.set_limits(validation, coverage, table.shape[1])
    if limits is None:
        unknown = {"limit": None, "least": None, "covered": _UNKNOWN, "size": _UNKNOWN}
        return {"promised": coverage, **unknown, "broken": False}
    least = selective.least_coverage(validation, coverage, (1 - settings["confidence"]) / 2)
    inside = selective.sets_of(table, limits)
    hits, rows = inside[np.arange(len(true)), true], np.ones(len(true))
    covered = share(hits, rows > 0, settings["confidence"], settings["clusters"])
    sizes = bootstrap(np.stack([inside.sum(axis=1), rows], axis=1).astype(np.float64), mean, **settings)
    return {
        "promised": coverage,
        "limit": float(limits[0]),
        "least": least,
        "covered": _as_dict(covered),
        "size": _as_dict(sizes),
        "broken": covered.high < least,  # the upper end of a two-sided interval has half of its error
    }


def _as_dict(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
