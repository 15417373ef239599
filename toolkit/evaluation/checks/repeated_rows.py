"""Test rows that are near-duplicates of training rows, and the first metric without them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.tables.columns import POSITION
from toolkit.evaluation import scores
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.duplicates import near_duplicates
from toolkit.evaluation.statistics.clusters import kept
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import Column


@dataclass(frozen=True)
class Search:
    """Test rows that are near-duplicates of training rows, as a run stores them.

    Attributes:
        pairs: The rows and their positions; None if the search takes too long.
        summary: Of the training rows, by which other rows can be compared with them later; None where these cannot be
            compared.
    """

    pairs: list[dict[str, Any]] | None = None
    summary: pa.Table | None = None


def find(recipe: Recipe, train: pa.Table, test: pa.Table, labels: Sequence[str]) -> Search:
    """Search for test rows that are near-duplicates of training rows.

    Args:
        recipe: The task.
        train: Rows that were learned from.
        test: Held-out rows.
        labels: Names of the classes.
    """
    columns, target = compared(recipe, train), recipe.task.target
    if not columns:
        return Search()
    roles = [column.role for column in columns]
    likeness = columns[0].kind.likeness
    summary = likeness.summary(train, roles)
    pairs = likeness.find(summary, test, roles)
    for name in (name for name in POSITION if name in train.column_names):
        summary = summary.append_column(name, train[name])
    shown = [target.kind.shown(label, labels) for label in train[target.role].to_pylist()]
    summary = summary.append_column(target.role, pa.array(map(str, shown), pa.string()))
    described = None if pairs is None else near_duplicates.describe(pairs, train, columns, target, labels)
    return Search(described, summary)


def find_again(recipe: Recipe, summary: pa.Table, rows: pa.Table) -> list[dict[str, Any]] | None:
    """Return the rows that are near-duplicates of training rows of which a run kept the summary; None as in `find`."""
    columns, target = compared(recipe, rows), recipe.task.target
    roles = [column.role for column in columns]
    if not columns or not {*roles, target.role} <= {*summary.column_names}:
        return None
    pairs = columns[0].kind.likeness.find(summary, rows, roles)
    if pairs is None:
        return None
    matched = summary.drop_columns(roles).take(pa.array([pair.train for pair in pairs], pa.int64())).to_pylist()
    return [
        {
            "position": pair.test,
            "similarity": pair.similarity,
            "train": {
                "file": row.get(POSITION[0]),
                "row": row.get(POSITION[1]),
                "text": "",  # texts of training rows are not kept
                "label": row[target.role],
            },
        }
        for pair, row in zip(pairs, matched, strict=True)
    ]


def copies(recipe: Recipe, known: pa.Table, rows: pa.Table) -> list[int]:
    """Return the positions of the rows that are near-duplicates of known ones; none where these cannot be searched."""
    columns = compared(recipe, rows)
    if not columns or not known.num_rows or not rows.num_rows:
        return []
    likeness, roles = columns[0].kind.likeness, [column.role for column in columns]
    pairs = likeness.find(likeness.summary(known, roles), rows, roles)
    return [pair.test for pair in pairs or ()]


def compared(recipe: Recipe, rows: pa.Table) -> list[Column]:
    """Return the inputs by which rows are compared, all of one kind; texts before other kinds."""
    there = [c for c in recipe.task.inputs if c.role in rows.column_names and c.kind.likeness is not None]
    texts = [column for column in there if column.kind.plain is not None]
    return texts or there


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    columns = compared(context.recipe, context.rows)
    if context.repeated is None or not columns:
        return None
    kind, rows = columns[0].kind, context.rows
    target = context.recipe.task.target
    positions = [pair["position"] for pair in context.repeated]
    own = rows.take(pa.array(positions, pa.int64())).to_pylist() if positions else []
    samples = [
        near_duplicates.sample(row, columns, target, context.labels, drawn=place < near_duplicates.SHOWN)
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
