"""The report's section on rows that belong together: how many groups there are, and how much less their rows say."""

from typing import Any

import numpy as np

from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.scores import computable
from toolkit.evaluation.statistics.clusters import count, design_effect, effective
from toolkit.metrics import Metric, column


def section(context: EvaluationContext) -> dict[str, Any]:
    """Return how many groups the rows belong to, and how much less they say for it of the first metric.

    The section is empty where rows are independent. A metric that depends on the order of the rows has no design effect
    here: it is no function of sums.
    """
    clusters, rows = context.clusters, context.rows.num_rows
    if clusters is None or context.group_column is None:
        return {}
    definitions = (d for _, d in computable(context.columns, context.recipe.metrics, context.labels))
    metric = next((definition for definition in definitions if isinstance(definition, Metric)), None)
    effect = None
    if metric is not None:
        statistics = metric.statistics(context.columns[column(metric)], context.references, context.labels)
        effect = design_effect(statistics, metric.aggregate, clusters)
    found = {
        "column": context.group_column,
        "groups": count(clusters),
        "largest": int(np.bincount(clusters).max()),
        "effective_groups": effective(clusters),
        "metric": metric.title if metric is not None else None,
        "design_effect": effect,
        "effective_rows": None if effect is None else min(float(rows), rows / max(effect, 1e-9)),
    }
    return {"grouping": found}
