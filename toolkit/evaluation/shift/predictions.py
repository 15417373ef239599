"""What the predictions of a task say of rows: shares of classes, outputs, and decisions with their confidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from toolkit.evaluation.context import chosen_classes
from toolkit.evaluation.shift.accuracy import Decisions
from toolkit.evaluation.statistics.clusters import Floats, Integers
from toolkit.metrics.classification import membership
from toolkit.tasks.spans import WORD_PROBABILITIES
from toolkit.tasks.task import Task

Columns = Mapping[str, Sequence[Any]]


def outputs(columns: Columns) -> Floats:
    """Return the probability of each class for each row, of words their mean; or the number. Shape (N, C)."""
    if "probabilities" in columns:
        return np.asarray(columns["probabilities"], np.float64)
    if WORD_PROBABILITIES in columns:
        rows = columns[WORD_PROBABILITIES]
        width = next((len(word) for row in rows for word in row if word is not None), 1)
        read = [[word for word in row if word is not None] for row in rows]
        return np.array([np.mean(row, axis=0) if row else np.zeros(width) for row in read])
    return np.asarray(columns["prediction"], np.float64)[:, None]


def shares(task: Task, columns: Columns, classes: int) -> Floats:
    """Return whether each row is predicted to have each class, of words their share; or the number. Shape (N, C)."""
    if task.labelled is None:
        return np.asarray(columns["prediction"], np.float64)[:, None]
    if task.labels_words:
        known = [[label for label in row if label is not None] for row in columns["prediction"]]
        return np.array([np.bincount(row, minlength=classes) / max(1, len(row)) for row in map(_whole, known)])
    if task.several:
        return membership(columns["prediction"], classes).astype(np.float64)
    return membership([[label] for label in chosen_classes(columns)], classes).astype(np.float64)


def _whole(numbers: Sequence[int]) -> Integers:
    return np.asarray(numbers, np.int64)


def decision_title(task: Task) -> str:
    """Name what `decisions` counts as right."""
    if task.labels_words:
        return "words with the right class"
    return "rows with exactly the right classes" if task.several else "rows with the right class"


def decisions(
    task: Task, columns: Columns, truth: Sequence[Any] | None, clusters: Integers | None = None
) -> Decisions | None:
    """Return the decisions of the predictions; None where there is no confidence.

    A decision is the class of a row, all classes of a row together where it has several, or the class of a word; words
    of a row depend on each other.

    Args:
        task: The task.
        columns: The predictions.
        truth: Of each row; None where it is not known.
        clusters: Number of each row's group; None where rows are independent.
    """
    if task.labelled is None:
        return None
    if task.labels_words:
        return _of_words(columns, truth, clusters)
    if "probabilities" not in columns:
        return None
    probabilities = np.asarray(columns["probabilities"], np.float64)
    if task.several:
        chosen = membership(columns["prediction"], probabilities.shape[1]).astype(bool)
        sure = np.where(chosen, probabilities, 1 - probabilities).prod(axis=1)
        right = (
            None
            if truth is None
            else [set(row) == set(true) for row, true in zip(columns["prediction"], truth, strict=True)]
        )
    else:
        classes = _whole(chosen_classes(columns))
        sure = probabilities[np.arange(len(classes)), classes]
        right = None if truth is None else classes == np.asarray(truth)
    return Decisions(sure, None if right is None else np.asarray(right, np.float64), clusters)


def _of_words(columns: Columns, truth: Sequence[Any] | None, clusters: Integers | None) -> Decisions | None:
    probabilities = columns.get(WORD_PROBABILITIES) or ()
    places = [(row, word) for row, words in enumerate(probabilities) for word, known in enumerate(words) if known]
    if not places:
        return None
    chosen = [columns["prediction"][row][word] for row, word in places]
    sure = [probabilities[row][word][label] for (row, word), label in zip(places, chosen, strict=True)]
    rows = np.array([row for row, _ in places], np.int64)
    groups = rows if clusters is None else clusters[rows]
    numbers = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    right = None
    if truth is not None:
        right = np.array([truth[row][word] for row, word in places]) == np.array(chosen)
    return Decisions(np.asarray(sure, np.float64), None if right is None else right.astype(np.float64), numbers, rows)
