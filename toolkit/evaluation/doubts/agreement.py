"""Agreement of annotators on rows that several of them labelled.

Krippendorff's alpha is one minus the observed over the expected disagreement of two labels. Where labels are points and
their disagreement is the squared distance, both are functions of sums over items: of one-hot vectors the nominal alpha,
of ranks the ordinal one, of numbers the interval one, and of the memberships of classes the classes that only one has.

Source: Krippendorff 2019, "Content Analysis", chapter 12; intervals by resampling items (BCa).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import Floats, bootstrap, wilson

LEAST = 10  # items that several annotators labelled


def points(values: Sequence[Any], classes: int, *, ordered: bool) -> Floats:
    """Return labels as points whose squared distance is their disagreement. Shape (N, E).

    Args:
        values: Class numbers, lists of them, or numbers.
        classes: How many classes there are; 0 for numbers.
        ordered: Whether the order of the classes has a meaning.
    """
    if not classes:
        numbers = np.asarray(values, np.float64)
        scaled: Floats = (numbers - numbers.mean())[:, None] / max(float(numbers.std()), 1e-12)
        return scaled
    if ordered:
        counts = np.bincount(np.asarray(values, np.int64), minlength=classes)
        ranks: Floats = (np.cumsum(counts) - counts / 2) / len(values)
        return ranks[np.asarray(values, np.int64)][:, None]
    matrix = np.zeros((len(values), classes))
    for row, value in enumerate(values):
        matrix[row, value] = 1.0  # one class, or several
    return matrix


def alpha(labels: Floats, items: Integers, *, confidence: float, resamples: int, seed: int) -> dict[str, float] | None:
    """Return Krippendorff's alpha with its interval: "value", "low", "high", "items", "labels".

    Args:
        labels: From `points`. Shape (N, E).
        items: Number of the item that each label is of. Shape (N,).
        confidence: Of the interval.
        resamples: Bootstrap samples of items.
        seed: Of the draw.

    Returns:
        None where fewer than `LEAST` items have two labels, or all labels are the same.
    """
    _, items, counts = np.unique(items, return_inverse=True, return_counts=True)
    paired = counts[items] > 1
    labels, items = labels[paired], np.unique(items[paired], return_inverse=True)[1]
    number = int(items.max()) + 1 if len(items) else 0
    if number < LEAST or not np.ptp(labels, axis=0).any():
        return None
    sizes = np.bincount(items).astype(np.float64)
    sums = np.stack([np.bincount(items, column) for column in labels.T], axis=1)  # (U, E)
    squares = np.bincount(items, (labels**2).sum(axis=1))
    within = 2 * (sizes * squares - (sums**2).sum(axis=1)) / (sizes - 1)
    statistics = np.concatenate([sizes[:, None], within[:, None], squares[:, None], sums], axis=1)
    settings: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    interval = bootstrap(statistics, _alpha, **settings)
    return {
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "items": number,
        "labels": len(labels),
    }


def _alpha(sums: Floats) -> Floats:
    """(labels, disagreement within items, squares, sums of points) → alpha. Shape (…, 3 + E) → (…)."""
    sizes, within, squares, totals = sums[..., 0], sums[..., 1], sums[..., 2], sums[..., 3:]
    expected = 2 * (sizes * squares - (totals**2).sum(axis=-1)) / np.maximum(sizes - 1, 1)
    with np.errstate(all="ignore"):
        agreement: Floats = np.where(expected > 1e-9, 1 - within / expected, np.nan)
    return agreement


def annotators(values: Sequence[Any], items: Integers, names: Sequence[str], confidence: float) -> list[dict[str, Any]]:
    """Return how often each annotator agrees with the majority of the others, the lowest agreement first.

    Intervals are Wilson's, of one confidence for all together (Bonferroni).

    Args:
        values: The labels; equal ones agree.
        items: Number of the item that each is of. Shape (N,).
        names: Who gave each label.
        confidence: Of all intervals together.

    Returns:
        For each annotator "name", "labels", how many of these have a majority of others, and the share that agrees as
        "value", "low" and "high"; None of these without such labels.
    """
    keys = [tuple(value) if isinstance(value, list) else value for value in values]
    by_item: dict[int, Counter[Any]] = {}
    for key, item in zip(keys, items.tolist(), strict=True):
        by_item.setdefault(item, Counter())[key] += 1
    agreeing: dict[str, list[bool]] = {name: [] for name in dict.fromkeys(names)}
    for key, item, name in zip(keys, items.tolist(), names, strict=True):
        others = by_item[item] - Counter([key])
        first = others.most_common(2)
        if first and (len(first) == 1 or first[0][1] > first[1][1]):
            agreeing[name].append(first[0][0] == key)
    each = 1 - (1 - confidence) / max(1, len(agreeing))
    rows = []
    for name, hits in agreeing.items():
        interval = wilson(sum(hits), len(hits), each) if hits else None
        shown = {end: None if interval is None else getattr(interval, end) for end in ("value", "low", "high")}
        rows.append({"name": name, "labels": len(hits), **shown})
    return sorted(rows, key=lambda row: (row["value"] is None, row["value"] or 0.0, row["name"]))
