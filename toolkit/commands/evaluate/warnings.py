"""Warnings about the rows of an evaluation that limit what its metrics show."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from toolkit.evaluation.context import EvaluationContext
from toolkit.tasks.contract import Recipe

FAR_BELOW_CHANCE = 0.5  # share of the accuracy of guessing, below which the labels may be swapped
MANY_COPIES = 0.05  # share of the rows
FEW = 100  # rows


def warnings(context: EvaluationContext, facts: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each warning.

    Args:
        context: Rows, truth and predictions.
        facts: Of the predictions: "unread" and "truncated".
    """
    rows, truncated = context.rows.num_rows, facts["truncated"]
    messages = [facts["unread"]] if facts.get("unread") else []
    if context.recipe.target.single:
        messages += _of_classes(context)
    copies = _copies(context.recipe, context.rows)
    if copies > MANY_COPIES * rows:
        messages.append(
            f"{copies:,} of {rows:,} test examples are duplicates of others: they make the intervals too narrow."
        )
    if truncated:
        messages.append(
            f"{truncated:,} of {rows:,} test examples were truncated to {context.config.data.max_length} tokens."
        )
    if rows < FEW:
        messages.append(f"Only {rows} test examples: the intervals are wide, and small differences cannot be detected.")
    return messages


def _of_classes(context: EvaluationContext) -> list[str]:
    truth, predicted, labels = context.references, context.columns.get("prediction", ()), context.labels
    messages = []
    if len(set(truth)) == 1:
        messages.append(
            f"All {len(truth):,} test examples have the label {labels[truth[0]]}: the evaluation does not show how "
            "well the model separates classes, and accuracy equals the recall of this class."
        )
    right = sum(prediction == other for prediction, other in zip(predicted, truth, strict=False))
    if len(truth) >= 20 and right * len(labels) < FAR_BELOW_CHANCE * len(truth):
        messages.append(
            "Accuracy is far below chance: the labels may be swapped. `data.label_map` corrects their names."
        )
    return messages


def _copies(recipe: Recipe, rows: pa.Table) -> int:
    """Count the rows whose inputs repeat those of an earlier row; 0 for inputs that Arrow cannot group by."""
    inputs = recipe.task.inputs_in(rows)
    if not inputs or any(pa.types.is_nested(rows[role].type) for role in inputs):
        return 0
    return int(rows.num_rows - rows.select(inputs).group_by(inputs).aggregate([]).num_rows)
