"""The context of an evaluation: all data from which its checks and metrics are computed."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from toolkit.config import RunConfig
from toolkit.data.batching.batch import Integers
from toolkit.data.division.groups import numbered
from toolkit.evaluation.statistics.claims import error_budget
from toolkit.evaluation.thresholds import Thresholds
from toolkit.inference.predict import Predictions
from toolkit.tasks.contract import Recipe
from toolkit.tasks.task import Task

if TYPE_CHECKING:
    from toolkit.inference.model import StoredModel


@dataclass(frozen=True)
class EvaluationContext:
    """Rows, their references, and a model's predictions.

    Attributes:
        rows: The examples with their truth.
        predictions: What the model predicts.
        recipe: The task.
        labels: Names of the classes.
        config: The run's configuration.
        temperature: Fitted on validation rows; None where there is none.
        fit: How it was fitted, or why there is none; None where that is not known.
        thresholds: Chosen on validation rows; None where there are none.
        repeated: Rows that repeat a training row, as `near_duplicates.describe` gives them; None where not checked.
        known_entities: Texts of the entities of training rows, from `entities.known_texts`; None where not known.
        stored: The model, for checks that need further predictions; None where there are only stored ones.
        shifted: Whether the rows are compared with held-out rows of the run that the model belongs to.
    """

    rows: pa.Table
    predictions: Predictions
    recipe: Recipe
    labels: Sequence[str]
    config: RunConfig
    temperature: float | None = None
    fit: Mapping[str, Any] | None = None
    thresholds: Thresholds | None = None
    repeated: Sequence[dict[str, Any]] | None = None
    known_entities: Set[str] | None = None
    stored: "StoredModel | None" = None
    shifted: bool = False

    @cached_property
    def task(self) -> Task:
        """The recipe's task, with those of its inputs that the rows have."""
        return self.recipe.task.narrowed(self.rows)

    @property
    def columns(self) -> Mapping[str, Sequence[Any]]:
        """The predictions, by name."""
        return self.predictions.columns

    @cached_property
    def references(self) -> list[Any]:
        """The truth of each row."""
        return references(self.recipe, self.rows)

    @cached_property
    def classes(self) -> list[Any]:
        """The class that each prediction chooses."""
        return chosen_classes(self.columns)

    @cached_property
    def clusters(self) -> Integers | None:
        """The number of each row's cluster, where rows depend on each other."""
        return clusters(self.recipe.task, self.rows, self.group_column)

    @property
    def group_column(self) -> str | None:
        """The column whose equal values mark rows that belong together; None where the rows have none."""
        column = self.config.data.group_column
        return column if column in self.rows.column_names else None

    @cached_property
    def claims(self) -> Mapping[str, float]:
        """The confidence of each kind of claim that the report may make, by `error_budget`."""
        task, settings = self.recipe.task, self.config.evaluation
        people = "bias" in settings.checks
        planned = {
            "baselines": True,
            **dict.fromkeys(("slices", "calibration"), task.labelled is not None),
            "centre": task.target.kind.ordered or task.target.kind.standardized,
            "quarters": task.target.kind.standardized,
            "writing": task.written,
            "shift": self.shifted,
            "robustness": "robustness" in settings.checks,
            "bias": people,
            "fairness": people and settings.group_column is not None,
        }
        kinds = [kind for kind, made in planned.items() if made]
        return {kind: 1 - error for kind, error in error_budget.parts(kinds, settings.confidence).items()}

    @property
    def calibration(self) -> Mapping[str, Any]:
        """What was determined on validation rows and is stored with the model; empty without a model."""
        return self.stored.calibration if self.stored is not None else {}

    @property
    def seed(self) -> int:
        """Of every draw."""
        return self.config.training.seed

    @cached_property
    def places(self) -> list[tuple[Any, Any]]:
        """File and row of each example; None for what is not known."""
        return places(self.rows)


def chosen_classes(columns: Mapping[str, Sequence[Any]]) -> list[Any]:
    """Return the predictions where they are classes, and the most probable classes where they are other numbers."""
    predictions = list(columns["prediction"])
    if "probabilities" not in columns or not any(isinstance(prediction, float) for prediction in predictions):
        return predictions
    chosen: list[Any] = np.asarray(columns["probabilities"]).argmax(axis=1).tolist()
    return chosen


def references(recipe: Recipe, rows: pa.Table) -> list[Any]:
    """Return the truth of each row."""
    values: list[Any] = rows[recipe.task.target.role].to_pylist()
    return values


def clusters(task: Task, rows: pa.Table, group_column: str | None = None) -> Integers | None:
    """Return the number of each row's cluster, from 0; None where rows are independent. Shape (rows,).

    Args:
        task: Its own clusters are those of users.
        rows: The examples.
        group_column: Column whose equal values mark rows that belong together, which takes precedence; ignored where
            the rows have none of this name.
    """
    column = group_column if group_column in rows.column_names else task.clusters_in(rows)
    return None if column is None or not rows.num_rows else numbered(rows, column)


def places(rows: pa.Table) -> list[tuple[Any, Any]]:
    """Return the place of each row in the user's files: file and row, None where not known."""
    columns = [rows[n].to_pylist() if n in rows.column_names else [None] * rows.num_rows for n in ("_file", "_row")]
    return list(zip(*columns, strict=True))
