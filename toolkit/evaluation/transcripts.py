"""The transcripts with the most errors."""

from typing import Any

import numpy as np

from toolkit.evaluation import scores
from toolkit.evaluation.context import EvaluationContext
from toolkit.metrics import Metric, load

WORST = 20


def section(context: EvaluationContext) -> dict[str, Any]:
    """Return the report's section on the worst transcripts by the recipe's first metric."""
    _, metric = load(context.recipe.metrics[0])
    if not isinstance(metric, Metric):
        return {}
    written, references = context.columns["prediction"], context.references
    each = metric.aggregate(metric.statistics(written, references, ()))  # (N,)
    order = [int(row) for row in np.argsort(-each, kind="stable")[:WORST] if each[row] > 0]
    inputs, rows = context.recipe.task.inputs, context.rows
    worst = [
        {
            **dict(zip(("file", "row"), context.places[row], strict=True)),
            "source": scores.shown_text(rows.slice(row, 1).to_pylist()[0], inputs),
            "reference": references[row],
            "written": written[row],
            "score": float(each[row]),
        }
        for row in order
    ]
    return {"transcripts": {"worst_by": metric.title, "wrong": int((each > 0).sum()), "worst": worst}}
