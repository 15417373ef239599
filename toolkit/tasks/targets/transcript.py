"""What is said in a recording: characters, decoded from a probability of each in every frame."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data.tables import columns, empty_values
from toolkit.evaluation import scores
from toolkit.evaluation.context import EvaluationContext
from toolkit.metrics import Metric, load
from toolkit.tasks.task import Checked, Column, Target
from toolkit.training.loss.objective import Objective, count_rows

WORST = 20  # transcripts that the report shows


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    return empty_values.leave_out(parts, column, empty_values.has_text)


def _summary(column: pa.ChunkedArray, _labels: Sequence[str]) -> dict[str, str]:
    words = pc.sum(pc.list_value_length(pc.utf8_split_whitespace(column))).as_py() or 0
    return {"transcripts": f"{words:,} words, {len(pc.unique(column)):,} different transcripts"}


def _objective(_config: Any, _labels: Sequence[str], _of_train: Any) -> Objective:
    """Return the model's CTC loss: a mean over recordings, each divided by the characters of its transcript."""
    return Objective("CTC loss", count_rows, lambda outputs, _batch: outputs.loss)


def _worst(context: EvaluationContext) -> dict[str, Any]:
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


TRANSCRIPT = Target(
    name="transcript",
    title="a transcript for each recording",
    in_shape=columns.strings,
    answer=lambda prediction, _probabilities, _calibrated, _how: {"prediction": prediction},
    shown=lambda value, _labels: str(value),
    line=lambda given, written: f"{written['prediction']}  {given}",
    summary=_summary,
    check=_check,
    overview=_worst,
    objective=_objective,
    tried_before=True,
    loss_keys=(),
    hub_tasks={"audio": "automatic-speech-recognition"},
)
