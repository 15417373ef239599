"""What is recommended beyond whether it is right: how much of the catalogue, and how popular it is."""

from typing import Any

import numpy as np
import pyarrow.compute as pc

from toolkit.evaluation.context import EvaluationContext, clusters
from toolkit.evaluation.statistics import intervals
from toolkit.evaluation.statistics.clusters import count
from toolkit.families import recommender
from toolkit.metrics import ranking


def section(context: EvaluationContext) -> dict[str, Any]:
    """Return the report's section on recommendations; nothing without a stored model, which knows the catalogue.

    Coverage has no interval: a resample of users always covers fewer items than all of them.
    """
    if context.stored is None:
        return {}
    stored, settings = context.stored, context.config.evaluation
    counts = recommender.item_counts(stored.folder, stored.recipe.load_processor(stored.folder, context.config))
    history = context.recipe.task.inputs[0].role
    lists = [batch.to_pylist() for batch in context.rows[history].chunks]
    histories = [items or [] for batch in lists for items in batch]
    rankings, truth = context.columns["prediction"], context.references
    recommended = ranking.popularity([items[: ranking.TOP] for items in rankings], counts)
    statistics = np.concatenate([recommended, ranking.popularity(histories, counts)], axis=1)
    users = clusters(context.recipe.task, context.rows)
    ratio = intervals.bootstrap(
        statistics,
        ranking.popularity_ratio,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=context.seed,
        clusters=context.clusters,
    )
    return {
        "recommendations": {
            "confidence": settings.confidence,
            "users": count(users) if users is not None else None,
            "items": len(counts),
            "coverage": ranking.coverage(rankings, counts),
            "popularity_ratio": {"value": ratio.value, "low": ratio.low, "high": ratio.high},
            "unseen": sum(item not in counts for item in truth),
            "repeats": sum(item in items for item, items in zip(truth, histories, strict=True)),
            "exclude_seen": bool(context.config.options.get("exclude_seen", False)),
            "items_in_history": float(pc.mean(pc.list_value_length(context.rows[history])).as_py() or 0.0),
        }
    }
