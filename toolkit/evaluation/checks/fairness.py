"""Metrics of a classifier for each group of people that a column defines, and the largest gaps."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.errors import ConfigError
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics.clusters import Floats, Integers, count, flips
from toolkit.evaluation.statistics.clusters import kept as kept_clusters
from toolkit.evaluation.statistics.intervals import share

SMALLEST = 20  # rows of a group
SHUFFLES = 2000  # the least p-value is one in so many, and is multiplied by the figures
_ROUNDING = 1e-12  # of gaps


def section(
    column: str,
    groups: Sequence[Any],
    predictions: Sequence[int],
    references: Sequence[int],
    labels: Sequence[str],
    *,
    confidence: float,
    seed: int,
    clusters: Integers | None = None,
    claimed: float | None = None,
) -> dict[str, Any]:
    """Return the report's section on the groups of one column.

    The figures are fairlearn's (Bird et al. 2020, "Fairlearn: A toolkit for assessing and improving fairness in AI"):
    accuracy, and for two classes how often the second is predicted for each group, when it is true and when not. The
    gap between the highest and the lowest group has a p-value by permutation of the groups, or with clusters by flipped
    signs of their deviations, multiplied by the number of figures (Bonferroni). Its interval is the inversion of the
    same test: the observed gap differs from the true one by no more than chance makes gaps of equal groups, so it
    excludes 0 exactly where the claim is made (Tukey 1953, "The Problem of Multiple Comparisons").

    Args:
        column: Name of the column.
        groups: Its value for each row; rows without one are left out.
        predictions: Class of each row.
        references: True class of each row.
        labels: Names of the classes.
        confidence: Of the intervals.
        seed: Of the shuffles.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
        claimed: Confidence of the claims that groups differ, and of the intervals of the gaps, jointly; `confidence`
            when None.

    Raises:
        ConfigError: fairlearn is not installed.
    """
    names = np.array([str(value) if value is not None else "" for value in groups])
    sizes = {name: int((names == name).sum()) for name in np.unique(names).tolist() if name}
    kept = [name for name, size in sizes.items() if size >= SMALLEST]
    rows = np.flatnonzero(np.isin(names, kept))
    result: dict[str, Any] = {
        "column": column,
        "confidence": confidence,
        "claims_confidence": confidence if claimed is None else claimed,
        "smallest": SMALLEST,
        "left_out": sorted(set(sizes) - set(kept)),
        "groups": [],
        "gaps": [],
    }
    if len(kept) < 2:
        return result
    predicted, true = np.asarray(predictions, np.int64)[rows], np.asarray(references, np.int64)[rows]
    together = kept_clusters(clusters, rows)
    members, frame = names[rows], _frame(predicted, true, names[rows], labels)
    for name in kept:
        accuracy = share(predicted == true, members == name, confidence, together)
        figures = {figure: float(value) for figure, value in frame.by_group.loc[name].items() if not np.isnan(value)}
        figures.pop("accuracy")
        interval = {"value": accuracy.value, "low": accuracy.low, "high": accuracy.high}
        result["groups"].append({"name": name, "rows": sizes[name], "accuracy": interval, "rates": figures})
    codes = np.searchsorted(sorted(kept), members)
    widths = {figure: float(value) for figure, value in frame.difference().items() if not np.isnan(value)}
    error = (1 - result["claims_confidence"]) / max(1, len(widths))
    result["gaps_confidence"] = 1 - error
    for figure, width in widths.items():
        chance = _chance(*_counted(figure, predicted, true), codes, seed, together)
        p = min(1.0, _p_value(width, chance) * len(widths))
        result["gaps"].append({"figure": figure, **_interval(width, chance, error), "p": p})
    return result


def _p_value(width: float, chance: Floats) -> float:
    """Return the share of the gaps by chance (B,) that are as wide as an observed one, which counts as one of them."""
    return float((1 + (chance >= width - _ROUNDING).sum()) / (1 + len(chance)))


def _interval(width: float, chance: Floats, error: float) -> dict[str, float]:
    """Return a gap with the interval that excludes 0 where its p-value is below the error.

    Args:
        width: The observed gap.
        chance: Gaps of equal groups. Shape (B,).
        error: Of the interval.
    """
    beyond = math.ceil(error * (1 + len(chance))) - 2  # of the gaps by chance so many may be as wide
    half = float(np.sort(chance)[::-1][beyond]) if beyond >= 0 else 1.0
    low = width - half
    return {"value": width, "low": low if low > _ROUNDING else 0.0, "high": min(1.0, width + half)}


def _frame(predicted: Integers, true: Integers, members: Any, labels: Sequence[str]) -> Any:
    """Return fairlearn's table of figures by group."""
    try:
        from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    except ImportError:
        raise ConfigError(
            "Metrics for groups of people need fairlearn, which is not installed.",
            "Install it with `pip install finetune-toolkit[fairness]`, or unset evaluation.group_column.",
            id="machine.package-missing",
        ) from None
    from sklearn.metrics import accuracy_score

    metrics: dict[str, Any] = {"accuracy": accuracy_score}
    if len(labels) == 2:
        metrics |= {
            "selection_rate": selection_rate,
            "true_positive_rate": true_positive_rate,
            "false_positive_rate": false_positive_rate,
        }
    return MetricFrame(metrics=metrics, y_true=true, y_pred=predicted, sensitive_features=members)


def _counted(figure: str, predicted: Integers, true: Integers) -> tuple[Any, Any]:
    """Return which rows hit, and which rows count, for a figure that is the share of hits among those that count."""
    all_rows = np.ones(len(true), bool)
    return {
        "accuracy": (predicted == true, all_rows),
        "selection_rate": (predicted == 1, all_rows),
        "true_positive_rate": (predicted == 1, true == 1),
        "false_positive_rate": (predicted == 1, true == 0),
    }[figure]


def _chance(hits: Any, counted: Any, codes: Integers, seed: int, clusters: Integers | None = None) -> Floats:
    """Return gaps between the highest and lowest group, by permutation of the groups. Shape (B,).

    With clusters, what each adds to the deviations of the groups from the share of all has a random sign instead.

    Args:
        hits: Whether each row hits. Shape (N,).
        counted: Whether it counts. Shape (N,).
        codes: Number of its group. Shape (N,).
        seed: Of the shuffles.
        clusters: Number of its cluster. Shape (N,).
    """
    random = np.random.default_rng(seed)
    clusters = kept_clusters(clusters, np.flatnonzero(counted))
    codes, hits = codes[counted], hits[counted].astype(np.float64)
    sizes = np.bincount(codes)
    held = sizes > 0
    if clusters is not None:
        added = np.zeros((count(clusters), len(sizes)))
        np.add.at(added, (clusters, codes), (hits - hits.mean()) / sizes[codes])
        ranges: Floats = np.ptp(flips(count(clusters), SHUFFLES, seed) @ added[:, held], axis=1)
        return ranges
    shuffled = (np.bincount(random.permutation(codes), hits, len(sizes)) for _ in range(SHUFFLES))
    return np.array([np.ptp(sums[held] / sizes[held]) for sums in shuffled])


def _wanted(context: EvaluationContext) -> bool:
    settings = context.config.evaluation
    return "bias" in settings.checks and settings.group_column is not None


def _run(context: EvaluationContext) -> dict[str, Any]:
    column = str(context.config.evaluation.group_column)
    return section(
        column,
        context.rows[column].to_pylist(),
        context.classes,
        context.references,
        context.labels,
        confidence=context.config.evaluation.confidence,
        seed=context.seed,
        clusters=context.clusters,
        claimed=context.claims["fairness"],
    )


CHECK = Check("fairness", _run, applies=lambda task: task.stratum is not None, wanted=_wanted)
