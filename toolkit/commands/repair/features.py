"""What the backbone makes of the training rows before it is fine-tuned, and predictions of models on other folds.

The fine-tuned backbone has learned the labels of these rows, wrong ones too; that of the checkpoint has not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.commands.finetune.prepare import Prepared
from toolkit.commands.finetune.training import backbone
from toolkit.data.batching.batch import Integers
from toolkit.data.division import groups
from toolkit.errors import ConfigError
from toolkit.events import Note, Observe, Stage
from toolkit.training.adaptation import linear_probe, probe_kinds
from toolkit.training.adaptation.feature_vectors import Floats
from toolkit.training.adaptation.linear_probe import Doubles

FOLDS = 5
LEARNED = 5000  # vectors that the regression of a fold learns from at most; with more classes, as many as a probe


@dataclass(frozen=True)
class CrossFitted:
    """Out-of-fold predictions of the training rows.

    Attributes:
        vectors: What they were predicted from, one for each row, or for each word. Shape (N, D).
        outputs: Logits, or numbers. Shape (N, O).
        rows: Row of each vector. Shape (N,).
        words: Number of each word in its row; zeros where vectors are of rows. Shape (N,).
    """

    vectors: Floats
    outputs: Doubles
    rows: Integers
    words: Integers


def cross_fitted(prepared: Prepared, observe: Observe) -> CrossFitted:
    """Predict each training row by a regression on frozen features of the rows of other folds.

    Rows of one group, and rows with equal inputs, are in one fold.

    Raises:
        ConfigError: The model started from random weights, or there is nothing to learn.
    """
    config = prepared.config
    if config.loading.from_scratch:
        raise ConfigError(
            "The run started from random weights, whose features say nothing about its rows.",
            "Train from a pretrained checkpoint first.",
            id="repair.no-features",
        )
    train, seed = prepared.splits.train, config.training.seed
    kind = prepared.recipe.target.probe or probe_kinds.ONE_CLASS
    checkpoint = backbone.load(prepared, train, _without_notes(observe))
    observe(Stage("Computing features of the training rows"))
    rows, vectors = checkpoint.in_order()
    observe(Stage("Predicting each training row by models of other rows"))
    classes = len(prepared.splits.labels)
    task = prepared.recipe.task
    together = groups.of_folds(train, config.data.group_column or task.clusters_in(train), task.inputs_in(train))
    folds = _folds(together, seed)[rows]
    most = max(LEARNED, linear_probe.rows_for(classes))
    fitted = linear_probe.out_of_fold(vectors, folds, classes, kind, seed, most)
    if fitted is None:
        raise ConfigError(
            "All training rows have the same label.", "Give rows of several labels.", id="repair.no-features"
        )
    name, outputs = fitted
    starts = np.concatenate([[0], np.flatnonzero(np.diff(rows)) + 1])
    words = np.arange(len(rows)) - np.repeat(starts, np.diff([*starts, len(rows)]))
    return CrossFitted(vectors.by_pooling[name], outputs, rows, words)


def _folds(together: Integers, seed: int) -> Integers:
    """Return the fold of each row: of about equally many rows, by whole groups. Shape (N,)."""
    _, members, sizes = np.unique(together, return_inverse=True, return_counts=True)
    order = np.random.default_rng([seed, 8]).permutation(len(sizes))
    fold = np.zeros(len(sizes), np.int64)
    fold[order] = (np.cumsum(sizes[order]) - sizes[order] / 2) * FOLDS // len(together)
    spread: Integers = fold[members]
    return spread


def _without_notes(observe: Observe) -> Callable[[Any], None]:
    """Return an observer without the remarks on training, which is not what happens."""
    return lambda event: None if isinstance(event, Note) else observe(event)
