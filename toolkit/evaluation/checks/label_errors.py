"""Labels that are probably wrong, by confident learning.

A label is suspect when the model gives another class more than it usually gives to examples of that class (Northcutt,
Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", section 3). The model must not
have been trained on the rows, as is true for held-out ones.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.evaluation import entities
from toolkit.evaluation.check import Check
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.scores import shown_text, thumbnail
from toolkit.evaluation.statistics.intervals import Floats
from toolkit.evaluation.statistics.label_noise import noise
from toolkit.metrics.classification import membership
from toolkit.metrics.probability import probability_matrix
from toolkit.tasks.task import Column

SHOWN = 20

Integers = np.ndarray[Any, np.dtype[np.int64]]
Members = np.ndarray[Any, np.dtype[np.bool_]]


def doubted(
    probabilities: Sequence[Any] | Floats, references: Sequence[int] | Integers | Members
) -> list[tuple[int, int]]:
    """Return (row, predicted class) of suspect labels, the most suspect first.

    Args:
        probabilities: Of each class, for each example, from a model that did not see it. Shape (N, C).
        references: The labels.
    """
    probs, labels = probability_matrix(probabilities), np.asarray(references, np.int64)
    rows, classes = np.arange(len(labels)), probs.shape[1]
    # Self-confidence of each class: what the model gives on average to a class among examples that have its label.
    usual = np.array([probs[labels == c, c].mean() if (labels == c).any() else np.inf for c in range(classes)])
    likely = np.where(probs >= usual, probs, -1.0)  # (N, C)
    best = likely.argmax(axis=1)
    flagged = np.flatnonzero((likely[rows, best] >= 0) & (best != labels))
    margin = probs[flagged, labels[flagged]] - probs[flagged, best[flagged]]
    return [(int(row), int(best[row])) for row in flagged[np.argsort(margin, kind="stable")]]


def section(
    probabilities: Sequence[Any],
    references: Sequence[int],
    rows: pa.Table,
    labels: Sequence[str],
    inputs: Sequence[Column],
    clusters: Integers | None = None,
) -> dict[str, Any]:
    """Return the report's section on labels to check.

    Args:
        probabilities: Of each class, for each example. Shape (N, C).
        references: The labels.
        rows: The examples, with "_file" and "_row".
        labels: Names of the classes.
        inputs: Columns to show, as text or as a small copy of the picture.
        clusters: Number of each example's cluster; None where examples are independent. Shape (N,).
    """
    doubtful = doubted(probabilities, references)
    shown = doubtful[:SHOWN]
    samples = rows.take(pa.array([row for row, _ in shown], pa.int64())).to_pylist() if shown else []
    return {
        "doubted": len(doubtful),
        "noise": noise(probabilities, references, clusters, [row for row, _ in doubtful]),
        "examples": [
            {
                "file": sample.get("_file"),
                "row": sample.get("_row"),
                "text": shown_text(sample, inputs),
                "label": labels[references[row]],
                "suggestion": labels[other],
                "label_probability": float(probabilities[row][references[row]]),
                "suggestion_probability": float(probabilities[row][other]),
                **thumbnail(sample, inputs),
            }
            for (row, other), sample in zip(shown, samples, strict=True)
        ],
    }


def of_classes(
    probabilities: Sequence[Any],
    references: Sequence[Sequence[int]],
    rows: pa.Table,
    labels: Sequence[str],
    inputs: Sequence[Column],
    shown: Callable[[Any, Sequence[str]], str],
) -> dict[str, Any]:
    """Return the report's section where a row has any number of classes: each is a question of its own, yes or no.

    Args:
        probabilities: Of each class, for each example. Shape (N, C).
        references: Numbers of the true classes of each example.
        rows: The examples, with "_file" and "_row".
        labels: Names of the classes.
        inputs: Columns to show, as text or as a small copy of the picture.
        shown: (classes of a row, names of the classes) → text.
    """
    probs, true = probability_matrix(probabilities), membership(references, len(labels))
    doubtful = [
        (row, number, float(probs[row, number]))
        for number in range(len(labels))
        for row, _ in doubted(np.stack([1 - probs[:, number], probs[:, number]], axis=1), true[:, number])
    ]
    missing = [bool(not true[row, number]) for row, number, _ in doubtful]
    sureness = [p if absent else 1 - p for (_, _, p), absent in zip(doubtful, missing, strict=True)]
    first = np.argsort(-np.asarray(sureness), kind="stable")[:SHOWN].tolist()
    samples = rows.take(pa.array([doubtful[place][0] for place in first], pa.int64())).to_pylist() if first else []
    counts = Counter((number, absent) for (_, number, _), absent in zip(doubtful, missing, strict=True))
    return {
        "doubted": len(doubtful),
        "classes": [
            {"label": label, "missing": counts[number, True], "wrong": counts[number, False]}
            for number, label in enumerate(labels)
        ],
        "examples": [
            {
                "file": sample.get("_file"),
                "row": sample.get("_row"),
                "text": shown_text(sample, inputs),
                "label": shown(references[doubtful[place][0]], labels),
                "suggestion": labels[doubtful[place][1]],
                "missing": missing[place],
                "label_probability": 1 - sureness[place],
                "suggestion_probability": sureness[place],
                **thumbnail(sample, inputs),
            }
            for place, sample in zip(first, samples, strict=True)
        ],
    }


def _run(context: EvaluationContext) -> dict[str, Any] | None:
    if context.task.labels_words:
        return _of_entities(context)
    probabilities = context.columns.get("probabilities")
    if probabilities is None:
        return None
    inputs = context.recipe.task.inputs
    if context.task.several:
        shown = context.recipe.target.shown
        return of_classes(probabilities, context.references, context.rows, context.labels, inputs, shown)
    return section(probabilities, context.references, context.rows, context.labels, inputs, context.clusters)


def _of_entities(context: EvaluationContext) -> dict[str, Any] | None:
    """Return the section for labels of words, whose entities are listed; the words of a sentence are no random sample,
    so the share of wrong labels is not estimated.
    """
    words = entities.read_words(context.columns, context.references)
    if words is None:
        return None
    flagged = {words.places[number] for number, _ in doubted(words.probabilities, words.labels)}
    count, examples = entities.suspects(context, flagged)
    return {"unit": entities.UNIT, "doubted": count, "noise": None, "examples": examples}


CHECK = Check("label_errors", _run, applies=lambda task: task.labelled is not None)
