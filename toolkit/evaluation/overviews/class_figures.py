"""Precision, recall and F1 of each class, with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation.statistics import intervals
from toolkit.evaluation.statistics.clusters import Integers, sums, widened
from toolkit.metrics import classification as classes_


def per_class(
    predictions: Sequence[Any],
    references: Sequence[Any],
    labels: Sequence[str],
    config: EvaluationConfig,
    seed: int,
    clusters: Integers | None = None,
) -> list[dict[str, Any]]:
    """Return precision, recall and F1 of each class with intervals; None for 0 of 0.

    Predictions and references are numbers of classes, or lists of them.
    """
    return class_figures(classes_.class_counts(predictions, references, labels), labels, config, seed, clusters)


def class_figures(
    statistics: np.ndarray[Any, Any],
    labels: Sequence[str],
    config: EvaluationConfig,
    seed: int,
    clusters: Integers | None = None,
) -> list[dict[str, Any]]:
    """Return the same from what each example adds to the counts. Shape (N, 3 C): right, predicted, true."""
    total = statistics.sum(axis=0)
    units = sums(statistics, clusters)
    different, counts = intervals.distinct(units)
    drawn = intervals.resampled_sums(units, config.resamples, seed)
    level = widened(config.confidence, clusters)
    left_out = total - different
    counted = classes_.overlaps(total)
    rows: list[dict[str, Any]] = [
        {"label": label, "support": int(count)} for label, count in zip(labels, total.reshape(3, -1)[2], strict=True)
    ]
    for name, figure in (("precision", classes_.precision), ("recall", classes_.recall), ("f1", classes_.f1)):
        value, samples, jackknife = figure(total), figure(drawn), figure(left_out)
        for number, row in enumerate(rows):
            right, predicted, true = (float(part[number]) for part in counted)
            trials = {"precision": predicted, "recall": true, "f1": predicted + true}[name]
            if not trials:  # 0 of 0 is undefined
                row[name] = {"value": None, "low": None, "high": None}
                continue
            interval = intervals.bca(float(value[number]), samples[:, number], jackknife[:, number], level, counts)
            if interval.low == interval.high:  # all correct or all wrong: resampling has no variance
                row_units = 1.0 if clusters is None else _holding(units, name, number) / trials
                right, predicted, true, trials = (part * row_units for part in (right, predicted, true, trials))
                if name == "f1":
                    interval = intervals.f1_score(right, predicted, true, config.confidence)
                else:
                    interval = intervals.wilson(right, trials, config.confidence)
            row[name] = {"value": interval.value, "low": interval.low, "high": interval.high}
    return rows


def _holding(units: np.ndarray[Any, Any], figure: str, number: int) -> float:
    """Return how many clusters have a case of a class that a figure counts: each is one case where none differ."""
    _, predicted, true = (part[:, number] for part in classes_.overlaps(units))
    cases = {"precision": predicted, "recall": true, "f1": predicted + true}[figure]
    return float((cases > 0).sum()) * (2.0 if figure == "f1" else 1.0)  # F1 counts a case predicted and true twice
