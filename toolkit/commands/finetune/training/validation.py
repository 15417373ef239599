"""Validation during training: metrics on validation rows, and the loss on training rows."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.config import RunConfig
from toolkit.data.batching.batch import Features, Integers
from toolkit.distributed.process_group import Team
from toolkit.evaluation import scores
from toolkit.evaluation.context import references
from toolkit.inference.model import LoadedModel
from toolkit.inference.predict_features import predict_features
from toolkit.metrics import Metric, load
from toolkit.tasks.contract import Recipe
from toolkit.training.adaptation.number_head import Units
from toolkit.training.loop.progress import Validation

EARLY_ROWS = 250  # validation rows at most, for the first figure
EARLY_WRITTEN = 32  # the same where texts are generated
SAMPLE = 2000  # train rows at most, on which the loss is computed for comparison with validation


@dataclass
class BestPredictions:
    """Predictions of all validation rows by the weights that are kept, so that calibration need not repeat them.

    Attributes:
        latest: Columns of the latest validation; None where it did not predict all rows.
        best: Columns of the best validation so far; None where it is not one of this process.
        step: Step of `best`.
    """

    latest: Mapping[str, Sequence[Any]] | None = None
    best: Mapping[str, Sequence[Any]] | None = None
    step: int | None = None

    def note(self, event: Validation) -> None:
        """Keep the latest predictions if the weights of this validation are kept."""
        if event.best:
            self.best, self.step = self.latest, event.step

    def of(self, step: int) -> Mapping[str, Sequence[Any]] | None:
        """Return the columns predicted by the weights of a step; None where they are not known."""
        return self.best if self.step == step else None


@dataclass(frozen=True)
class Validator:
    """Evaluates a model during training.

    Attributes:
        subject: Processor, recipe, labels and configuration; its model is the one in training.
        features: The validation rows.
        learned: A fixed sample of train rows, whose loss is comparable with validation's.
        references: The truth of the validation rows.
        collate: Stacks examples into a batch of tensors.
        team: The processes that share the work.
        written: The rows for which texts are generated; None where predictions are not generated.
        more: Further figures of the model.
        units: In which the model predicts and is evaluated.
        predicted: Holds the predictions of the validation rows.
    """

    subject: LoadedModel
    features: Features
    learned: Features
    references: Sequence[Any]
    collate: Callable[[Sequence[Any]], dict[str, Any]]
    team: Team
    written: Integers | None = None
    more: Callable[[Any], dict[str, float]] = lambda _model: {}
    units: Units = field(default_factory=Units)
    predicted: BestPredictions = field(default_factory=BestPredictions)

    def __call__(self, model: Any) -> dict[str, float]:
        """Return figures by name: "loss", "train_loss", the recipe's metrics, and `more`."""
        with self.units.of_data():
            return self._figures(model)

    def _figures(self, model: Any) -> dict[str, float]:
        subject = replace(self.subject, model=model)
        predictions = self._predict(subject, self.features, answers=self.written is None)
        learned = self._predict(subject, self.learned, answers=False)
        columns, truth = predictions.columns, self.references
        self.predicted.latest = columns if self.written is None else None
        if self.written is not None:
            columns = self._predict(subject, self.features.take(self.written)).columns
            truth = [self.references[int(row)] for row in self.written]
        values = scores.values(columns, truth, subject.recipe.metrics, subject.labels)
        losses = {"loss": predictions.loss, "train_loss": learned.loss}
        in_training = {name: self.units.loss(_number(loss)) for name, loss in losses.items()}
        return {**in_training, **values, **self.more(model)}

    def early(self) -> "Validator":
        """Return a validation on some of the rows, for a fast first result."""
        most = EARLY_ROWS if self.written is None else EARLY_WRITTEN
        rows = np.unique(np.linspace(0, len(self.features) - 1, min(most, len(self.features))).astype(np.int64))
        return replace(
            self,
            features=self.features.take(rows),
            learned=self.learned.take(np.arange(min(most, len(self.learned)))),
            references=[self.references[int(row)] for row in rows],
            written=None if self.written is None else np.arange(len(rows)),
            predicted=BestPredictions(),
        )

    def _predict(self, subject: LoadedModel, features: Features, answers: bool = True) -> Any:
        return predict_features(subject, features, team=self.team, collate=self.collate, answers=answers)


def sample(features: Features, size: int, seed: int) -> Features:
    """Return `size` of the training rows at most, drawn from `seed`, in their order."""
    random = np.random.default_rng([seed, 1])
    size = min(size, len(features), SAMPLE)
    return features.take(np.sort(random.choice(len(features), size, replace=False)))


def written(recipe: Recipe, rows: int, config: RunConfig) -> Integers | None:
    """Return evenly spaced validation rows to generate texts for; None where predictions are not generated."""
    if recipe.generate is None:
        return None
    most = min(rows, config.training.validation_answers)
    return np.unique(np.linspace(0, rows - 1, most).astype(np.int64))


def higher_is_better(recipe: Recipe, metric: str) -> bool:
    """Whether a larger value of a validation figure is the better one."""
    if metric == "loss":
        return False
    definition = _definition(recipe, metric)
    return definition.higher_is_better if definition is not None else True


def tolerance(recipe: Recipe, metric: str, counted: int) -> Callable[[float], float]:
    """Return how far below the best value a later one may be by chance: the standard error of a share.

    A metric that is not a share, such as the loss, has none.

    Args:
        recipe: The task.
        metric: Name of the metric.
        counted: What it is a share of, as of `counted`.
    """
    definition = _definition(recipe, metric) if metric != "loss" else None
    if definition is None or definition.unit != "fraction" or not counted:
        return lambda _best: 0.0
    return lambda best: math.sqrt(max(0.0, best * (1.0 - best)) / counted)


def counted(recipe: Recipe, metric: str, rows: pa.Table, labels: Sequence[str]) -> int:
    """Return how many things a metric is a share of: the entities for the F1 of entities, else the rows.

    Args:
        recipe: The task.
        metric: Name of the metric.
        rows: The validation rows.
        labels: Names of the classes.
    """
    definition = _definition(recipe, metric) if metric != "loss" else None
    if not rows.num_rows or not isinstance(definition, Metric) or definition.overlaps is None:
        return int(rows.num_rows)
    truth = references(recipe, rows)
    _, _, true = definition.overlaps(definition.statistics(truth, truth, labels).sum(axis=0))
    return round(float(np.sum(true)))


def _definition(recipe: Recipe, metric: str) -> Any:
    return load(next((m for m in recipe.metrics if metric in (m, getattr(m, "name", m))), metric))[1]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
