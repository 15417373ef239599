"""Metrics of rankings in which one item is the right one: hit rate, NDCG, reciprocal rank; and what is recommended.

Sources: Järvelin and Kekäläinen 2002, "Cumulated Gain-Based Evaluation of IR Techniques"; Krichene and Rendle 2020, "On
Sampled Metrics for Item Recommendation", which is why all items are ranked, and none are sampled.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.metrics.base import Floats, Metric, Unit
from toolkit.metrics.classification import divide

LISTED = 20  # items of a ranking that are kept
TOP = 10


def ranks(rankings: Sequence[Sequence[str]], references: Sequence[str]) -> Floats:
    """Return the rank of each reference, from 1; infinity where it is not listed. Shape (N,)."""
    return np.array(
        [
            list(ranking).index(item) + 1 if item in ranking else np.inf
            for ranking, item in zip(rankings, references, strict=True)
        ],
        np.float64,
    )


def hits(rank: Floats) -> Floats:
    """Whether the right item is among the first ten."""
    return (rank <= TOP).astype(np.float64)


def gains(rank: Floats) -> Floats:
    """Normalised discounted cumulative gain of the first ten, with one relevant item: 1 / log2(rank + 1)."""
    return np.where(rank <= TOP, 1 / np.log2(rank + 1), 0.0)


def reciprocals(rank: Floats) -> Floats:
    """1 / rank; 0 beyond the items that are listed."""
    return np.where(rank <= LISTED, 1 / rank, 0.0)


def coverage(rankings: Sequence[Sequence[str]], items: Collection[str]) -> float:
    """Return the share of the items that are among the first ten for anyone."""
    recommended = {item for ranking in rankings for item in ranking[:TOP]}
    return len(recommended & set(items)) / max(len(items), 1)


def popularity(items: Sequence[Sequence[str]], counts: Mapping[str, int]) -> Floats:
    """Return the sum of the counts of each row's items, and how many these are. Shape (N, 2)."""
    rows = [(sum(counts.get(item, 0) for item in row), len(row)) for row in items]
    return np.array(rows, np.float64).reshape(-1, 2)


def popularity_ratio(sums: Floats) -> Floats:
    """Mean popularity of recommended items relative to that of the histories; above 1 they are more popular.

    Source: Abdollahpouri et al. 2019, "The Unfairness of Popularity Bias in Recommendation".

    Args:
        sums: Counts and number of the recommended items, then of the items of the histories. Shape (..., 4).
    """
    return divide(divide(sums[..., 0], sums[..., 1]), divide(sums[..., 2], sums[..., 3]))


def _mean(sums: Floats) -> Floats:
    return divide(sums[..., 0], sums[..., 1])


def _metric(name: str, title: str, of_rank: Callable[[Floats], Floats], unit: Unit) -> Metric:
    def statistics(predictions: Sequence[Any], references: Sequence[Any], _labels: Sequence[str]) -> Floats:
        values = of_rank(ranks(predictions, references))
        return np.stack([values, np.ones(len(values))], axis=1)

    return Metric(name, title, statistics, _mean, "ranking", unit, reference_type="string")


METRICS = {
    metric.name: metric
    for metric in (
        _metric("ndcg_10", f"NDCG@{TOP}", gains, "score"),
        _metric("hit_rate_10", f"Hit rate@{TOP}", hits, "fraction"),
        _metric("mrr_20", f"MRR@{LISTED}", reciprocals, "score"),
    )
}
