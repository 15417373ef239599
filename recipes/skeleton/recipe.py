"""Classify texts, and measure what wrong predictions cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.metrics import Metric
from toolkit.tasks.parts import text_classification
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.task import Column

# Values of the configuration; `--set` and options override them.
DEFAULTS: dict[str, Any] = {"model": "distilbert", "training": {"best_metric": "accuracy"}}

# What a row has: a role, the names of its column in tables, and its kind. Exactly one kind is a target.
COLUMNS = (*text_classification.INPUTS, Column("label", ("label", "class", "topic"), SINGLE_LABEL))


def _costs(predictions: Sequence[Any], references: Sequence[Any], _names: Sequence[str]) -> Any:
    """Return the cost of each prediction, and 1, of which the metric is the ratio of the sums. Shape (N, 2).

    Predictions and references are numbers of classes, in the order of `_names`.
    """
    wrong = np.asarray(predictions) != np.asarray(references)
    costs = wrong * 5.0  # change this: a table of costs by true and predicted class, for example
    return np.stack([costs, np.ones_like(costs)], axis=1)


COST = Metric(
    "cost", "Mean cost", _costs, lambda sums: sums[..., 0] / sums[..., 1], unit="value", higher_is_better=False
)

METRICS = (*SINGLE_LABEL.metrics, COST)
BASELINES = SINGLE_LABEL.baselines["text"]

load_processor = text_classification.load_processor
preprocess = text_classification.preprocess
build_model = text_classification.build_model
