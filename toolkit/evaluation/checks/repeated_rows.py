"""Test rows that nearly repeat a training row, and the first figure without them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.duplicates import near_duplicates
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import Column


def find(recipe: Recipe, train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[dict[str, Any]] | None:
    """Return the test rows that nearly repeat a training row, as a run keeps them; None where that takes too long.

    Args:
        recipe: The task.
        train: Rows that were learned from.
        test: Held-out rows.
        labels: Names of the classes.
    """
    compared = _compared(recipe, train)
    roles = [column.role for column in compared]
    pairs = compared[0].kind.likeness.find(train, test, roles) if compared else None
    return None if pairs is None else near_duplicates.describe(pairs, train, roles, recipe.task.target.role, labels)


def _compared(recipe: Recipe, rows: pa.Table) -> list[Column]:
    """Return the inputs of one kind by which rows are compared; texts before other kinds."""
    there = [c for c in recipe.task.inputs if c.role in rows.column_names and c.kind.likeness is not None]
    texts = [column for column in there if column.kind.plain is not None]
    return texts or there


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    compared = _compared(context.recipe, context.rows)
    if context.repeated is None or not compared:
        return None
    first = compared[0].kind
    return near_duplicates.section(
        context.repeated,
        context.rows,
        context.columns,
        context.references,
        context.recipe.metrics,
        context.labels,
        context.config,
        [column.role for column in compared],
        context.recipe.task.target.role,
        kind=first.modality,
        threshold=first.likeness.threshold,
    )


CHECK = Check("near_duplicates", _run)
