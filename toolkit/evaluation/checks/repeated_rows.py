"""Test rows that are near-duplicates of training rows, and the first metric without them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.evaluation import scores
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.duplicates import near_duplicates
from toolkit.evaluation.statistics.clusters import kept
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import Column


def find(recipe: Recipe, train: pa.Table, test: pa.Table, labels: Sequence[str]) -> list[dict[str, Any]] | None:
    """Return the test rows that are near-duplicates of training rows, as a run stores them; None if that takes too
    long.

    Args:
        recipe: The task.
        train: Rows that were learned from.
        test: Held-out rows.
        labels: Names of the classes.
    """
    compared = _compared(recipe, train)
    roles = [column.role for column in compared]
    pairs = compared[0].kind.likeness.find(train, test, roles) if compared else None
    return None if pairs is None else near_duplicates.describe(pairs, train, compared, recipe.task.target, labels)


def _compared(recipe: Recipe, rows: pa.Table) -> list[Column]:
    """Return the inputs by which rows are compared, all of one kind; texts before other kinds."""
    there = [c for c in recipe.task.inputs if c.role in rows.column_names and c.kind.likeness is not None]
    texts = [column for column in there if column.kind.plain is not None]
    return texts or there


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    compared = _compared(context.recipe, context.rows)
    if context.repeated is None or not compared:
        return None
    kind, rows = compared[0].kind, context.rows
    target = context.recipe.task.target
    positions = [pair["position"] for pair in context.repeated]
    own = rows.take(pa.array(positions, pa.int64())).to_pylist() if positions else []
    samples = [
        near_duplicates.sample(row, compared, target, context.labels, drawn=place < near_duplicates.SHOWN)
        for place, row in enumerate(own)
    ]
    both = list(zip(context.repeated, samples, strict=True))
    section: dict[str, Any] = {
        "kind": kind.modality,
        "threshold": kind.likeness.threshold,
        "rows": rows.num_rows,
        "found": len(both),
        "other_label": sum(test["label"] != pair["train"]["label"] for pair, test in both),
        "pairs": [
            {"similarity": pair["similarity"], "test": test, "train": pair["train"]}
            for pair, test in both[: near_duplicates.SHOWN]
        ],
    }
    figure = _without(context, positions)
    return {**section, "without": figure} if figure else section


def _without(context: EvaluationContext, positions: Sequence[int]) -> dict[str, Any] | None:
    """Return the first metric on the rows that repeat no training row; None where these are all or none."""
    others = np.setdiff1d(np.arange(context.rows.num_rows), positions)
    if not positions or not len(others):
        return None
    rest = {name: [values[row] for row in others] for name, values in context.columns.items()}
    truth = [context.references[row] for row in others]
    first = context.recipe.metrics[:1]
    settings = (context.config.evaluation, context.seed, kept(context.clusters, others))
    figures = scores.score(rest, truth, first, context.labels, *settings)
    return {"rows": len(others), "metric": figures[0]} if figures else None


CHECK = Check("near_duplicates", _run)
