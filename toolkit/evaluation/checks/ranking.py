"""How well predictions rank the candidates of each query: NDCG@10, and MRR and MAP where gains are 0 and 1.

A query is the unit: figures are means over queries, and intervals resample queries.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.statistics import query_ranking
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.clusters import kept as kept_clusters
from toolkit.evaluation.statistics.intervals import Floats, bootstrap
from toolkit.evaluation.thresholds import class_number
from toolkit.metrics.means import mean
from toolkit.metrics.probability import probability_matrix

_GRADED = {"ndcg_10": (f"NDCG@{query_ranking.DEPTH}", query_ranking.ndcg)}
_BINARY = {
    **_GRADED,
    "mrr": ("Mean reciprocal rank", lambda gains, scores: query_ranking.reciprocal_rank(gains > 0, scores)),
    "map": ("Mean average precision", lambda gains, scores: query_ranking.average_precision(gains > 0, scores)),
}
Figures = Mapping[str, tuple[str, Callable[[Floats, Floats], float]]]


def section(
    column: str,
    queries: Sequence[Any],
    gains: Floats,
    scores: Floats,
    settings: Mapping[str, Any],
    clusters: Integers | None = None,
) -> dict[str, Any]:
    """Return the report's section on the ranking of candidates.

    Args:
        column: Name of the column of queries.
        queries: The query of each row; rows without one are left out.
        gains: How relevant each row is. Shape (N,).
        scores: The predictions by which rows are ranked. Shape (N,).
        settings: "confidence", "resamples" and "seed" of the intervals.
        clusters: Number of each row's cluster; that of a query is its first row's. None where queries are independent.
    """
    rows: dict[str, list[int]] = {}
    for number, query in enumerate(queries):
        if query is not None and str(query).strip():
            rows.setdefault(str(query), []).append(number)
    kept = [members for members in rows.values() if len(members) > 1 and gains[members].max() > 0]
    figures: Figures = _BINARY if set(np.unique(gains)) <= {0.0, 1.0} else _GRADED
    together = kept_clusters(clusters, [members[0] for members in kept]) if kept else None
    metrics = []
    for name, (title, figure) in figures.items() if kept else ():
        each = np.array([figure(gains[members], scores[members]) for members in kept])
        interval = bootstrap(np.stack([each, np.ones(len(each))], axis=1), mean, **settings, clusters=together)
        # where all queries have the same figure, resampling has no variance
        low, high = (None, None) if np.ptp(each) < 1e-9 else (interval.low, interval.high)
        bounds = {"value": interval.value, "low": low, "high": high}
        metrics.append({"name": name, "title": title, **bounds, "unit": "score"})
    return {
        "column": column,
        "confidence": settings["confidence"],
        "queries": len(kept),
        "left_out": len(rows) - len(kept),
        "rows": sum(map(len, kept)),
        "metrics": metrics,
        "not_tested": "" if kept else "No query has two candidates, one of them relevant.",
    }


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    settings = context.config.evaluation
    column = settings.query_column
    if column is None:
        return None
    gains, scores = np.asarray(context.references, np.float64), np.asarray(context.columns["prediction"], np.float64)
    if context.labels:
        positive = class_number(settings.positive_class, context.labels)
        positive = 1 if positive is None and len(context.labels) == 2 else positive
        if positive is None or "probabilities" not in context.columns:
            return {"not_tested": "The relevant class is not known: name it in evaluation.positive_class."}
        gains = (gains == positive).astype(np.float64)
        scores = probability_matrix(context.columns["probabilities"])[:, positive]
    if (gains < 0).any():
        return {"not_tested": "Some numbers are below 0, so they are no gains."}
    draws = {"confidence": settings.confidence, "resamples": settings.resamples, "seed": context.seed}
    return section(column, context.rows[column].to_pylist(), gains, scores, draws, context.clusters)


CHECK = Check("ranking", _run, applies=lambda task: task.ranks)
