"""The report's sections on predictions of several classes a row: which are missed, which are added, and how surely."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.evaluation import scores
from toolkit.evaluation.class_thresholds import stored_thresholds
from toolkit.evaluation.context import EvaluationContext
from toolkit.evaluation.overviews.class_figures import per_class
from toolkit.metrics.classification import membership
from toolkit.metrics.probability import probability_matrix

CONFUSIONS = 15  # pairs of classes that a report names
ERRORS = 20  # rows that a report shows

Members = np.ndarray[Any, np.dtype[np.bool_]]


def sections(context: EvaluationContext) -> dict[str, Any]:
    """Return the metrics of each class, the number of classes a row, confused classes and the most confident errors."""
    predicted, references, labels = context.columns["prediction"], context.references, context.labels
    given, true = membership(predicted, len(labels)), membership(references, len(labels))
    settings = context.config.evaluation
    each = per_class(predicted, references, labels, settings, context.seed, context.clusters)
    counts = given.sum(axis=0).tolist()
    section: dict[str, Any] = {
        "per_class": [{**row, "predicted": count} for row, count in zip(each, counts, strict=True)],
        "classes_per_row": classes_per_row(given, true),
        "confused": confused(given, true, labels),
    }
    if "probabilities" in context.columns:
        thresholds = stored_thresholds(context.calibration, labels)
        for row, threshold in zip(section["per_class"], thresholds, strict=True):
            row["threshold"] = threshold
        section["errors"] = _errors(context, given, true)
    return section


def classes_per_row(given: Members, true: Members) -> dict[str, Any]:
    """Compare how many classes rows have with how many are predicted.

    Args:
        given: Whether a class is predicted for a row. Shape (N, C).
        true: Whether a row has a class. Shape (N, C).
    """
    ours, theirs = given.sum(axis=1), true.sum(axis=1)
    numbers = np.unique(np.concatenate([[0], ours, theirs]))
    return {
        "true_mean": float(theirs.mean()),
        "predicted_mean": float(ours.mean()),
        "counts": [
            {"classes": int(n), "true": int((theirs == n).sum()), "predicted": int((ours == n).sum())} for n in numbers
        ],
    }


def confused(given: Members, true: Members, labels: Sequence[str]) -> dict[str, Any]:
    """Count the rows in which one class is missed and another one added, for the pairs where that is most frequent.

    Both directions of a pair are counted together; the more frequent one names it. If classes were missed and added
    independently of each other, `expected` such rows would occur by chance.

    Args:
        given: Whether a class is predicted for a row. Shape (N, C).
        true: Whether a row has a class. Shape (N, C).
        labels: Names of the classes.
    """
    missed, added = (true & ~given).astype(np.float64), (given & ~true).astype(np.float64)
    together = missed.T @ added  # (C, C): rows that lack the one and have the other in its place
    by_chance = np.outer(missed.sum(axis=0), added.sum(axis=0)) / max(1, len(true))
    firsts, seconds = np.triu_indices(len(labels), 1)
    both = together[firsts, seconds] + together[seconds, firsts]
    confusions = []
    for place in np.argsort(-both, kind="stable")[:CONFUSIONS]:
        one, other = int(firsts[place]), int(seconds[place])
        if together[one, other] < together[other, one]:
            one, other = other, one
        if both[place]:
            confusions.append(
                {
                    "missed": labels[one],
                    "added": labels[other],
                    "count": int(together[one, other]),
                    "reverse": int(together[other, one]),
                    "expected": float(by_chance[one, other] + by_chance[other, one]),
                }
            )
    return {
        "wrong": int((given != true).any(axis=1).sum()),
        "missed": int(missed.sum()),
        "added": int(added.sum()),
        "confusions": confusions,
    }


def _errors(context: EvaluationContext, given: Members, true: Members) -> list[dict[str, Any]]:
    """Return the wrong rows with their missed and added classes, the most confident error first.

    The confidence of an error is the probability of what was predicted: of an added class, or that a missed one is
    absent.
    """
    labels, target, inputs = context.labels, context.recipe.target, context.recipe.task.inputs
    probabilities = probability_matrix(context.columns["probabilities"])
    sure = np.where(given != true, np.where(given, probabilities, 1 - probabilities), -1.0)
    surest = sure.max(axis=1, initial=-1.0)
    rows = [int(row) for row in np.argsort(-surest, kind="stable")[:ERRORS] if surest[row] >= 0]
    samples = context.rows.take(pa.array(rows, pa.int64())).to_pylist()

    def probable(row: int, classes: Members) -> list[dict[str, Any]]:
        numbers = np.flatnonzero(classes)
        numbers = numbers[np.argsort(-sure[row, numbers], kind="stable")]
        return [{"label": labels[n], "probability": float(probabilities[row, n])} for n in numbers.tolist()]

    return [
        {
            "file": sample.get("_file"),
            "row": sample.get("_row"),
            "text": scores.shown_text(sample, inputs),
            "label": target.shown(context.references[row], labels),
            "prediction": target.shown(context.columns["prediction"][row], labels),
            "missed": probable(row, true[row] & ~given[row]),
            "added": probable(row, given[row] & ~true[row]),
            "confidence": float(surest[row]),
            **scores.thumbnail(sample, inputs),
        }
        for row, sample in zip(rows, samples, strict=True)
    ]
