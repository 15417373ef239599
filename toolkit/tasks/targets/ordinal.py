"""One class for each row, of classes in an order: stars, grades, severities."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from toolkit.data.tables.labels import rank
from toolkit.evaluation.baselines import majority, median_class, pixel_logistic_regression, tfidf_logistic_regression
from toolkit.evaluation.overviews import ordered_classes
from toolkit.evaluation.selection import uncertainty
from toolkit.explanation.question import ONE_CLASS
from toolkit.inference.predict import probabilities
from toolkit.tasks.targets.single_label import SINGLE_LABEL
from toolkit.tasks.task import LabelColumn
from toolkit.training.loss.objective import Batch, Objective, are_shares, count_items

_ORDERED_NAMES = {"stars", "star", "rating", "ratings", "grade", "grades", "score", "severity", "level"}
_MOST = 10


def predictions(outputs: Any, _batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Logits (B, C) → the median class, which has the least expected distance, and the probability of each class."""
    scores = probabilities(outputs.logits)
    return {"prediction": medians(scores).tolist(), "probabilities": scores.tolist()}


def medians(scores: Any) -> Any:
    """Return the first class at which the cumulative probability reaches one half. (N, C) → (N,)."""
    reached = np.cumsum(scores, axis=-1) >= 0.5 - 1e-12
    return reached.argmax(axis=-1)


def cumulative(classes: int) -> Objective:
    """Return the mean of the log losses of the questions "at most class k?", for each k but the last.

    The logits are those of the classes, whose softmax gives the cumulative probabilities; so a confident prediction
    three classes away costs more than one next to the truth, and the outputs remain probabilities of classes.

    Args:
        classes: C.

    Source: the cumulative form of McCullagh 1980, "Regression Models for Ordinal Data", without its assumption that
    the classes differ in their thresholds alone; the discrete counterpart of the logarithmic score for thresholds.
    """
    import torch

    def mean(outputs: Any, batch: Batch) -> Any:
        logits = outputs.logits.float()
        truth = batch["labels"].to(logits.device)
        scores = logits.log_softmax(dim=-1)  # (B, C)
        below = scores.logcumsumexp(dim=-1)[:, :-1]  # (B, C - 1): log P(at most k)
        above = scores.flip(-1).logcumsumexp(dim=-1).flip(-1)[:, 1:]  # log P(more than k)
        if are_shares(truth):  # of mixed pictures: (B, C)
            at_most = truth.cumsum(dim=-1)[:, :-1]
            return -(at_most * below + (1 - at_most) * above).mean()
        is_below = truth[:, None] <= torch.arange(classes - 1, device=logits.device)
        return -torch.where(is_below, below, above).mean()

    return Objective("cumulative log loss of ordered classes", count_items, mean)


def _recognizes(column: LabelColumn) -> str:
    """Recognise three to ten whole or half numbers in a column whose name says that they are ordered, or "4 stars"."""
    ranks = [rank(value) for value in column.different]
    known = [place for place in ranks if place is not None]
    if len(known) < len(ranks) or not 3 <= len(known) <= _MOST or not all((2 * place).is_integer() for place in known):
        return ""
    says = any(word in _ORDERED_NAMES for word in re.findall(r"[a-z]+", column.name.lower()))
    return f"`{column.name}` holds ratings from {min(known):g} to {max(known):g}" if says or not column.numbers else ""


_USAGE = """
from itertools import accumulate

labels = list(predict.model.config.id2label.values())
scores = {{row["label"]: row["score"] for row in predict({given}, top_k=len(labels))}}
shares = accumulate(scores[label] for label in labels)
print(next(label for label, share in zip(labels, shares) if share >= 0.5))  # the median of the ordered classes
"""


ORDINAL = replace(
    SINGLE_LABEL,
    name="ordinal",
    title="one of several ordered classes for each row",
    recognizes=_recognizes,
    predictions=predictions,
    overview=ordered_classes.sections,
    usage=lambda given, _labels, _stored: _USAGE.format(given=given).strip(),
    ordered=True,
    uncertainty=uncertainty.spread,
    outcome=replace(ONE_CLASS, chosen=lambda values, _stored: [int(medians(values))]),
    metrics=("quadratic_kappa", "ordinal_mae", "within_one", "accuracy", "f1"),
    best_metric="ordinal_mae",
    baselines={
        "text": {
            "Majority class": majority,
            "Median class": median_class,
            "TF-IDF + logistic regression": tfidf_logistic_regression,
        },
        "image": {
            "Majority class": majority,
            "Median class": median_class,
            "Logistic regression on small pixels": pixel_logistic_regression,
        },
    },
    decision="median",
    loss_keys=(),
    objective=lambda _config, labels, _of_train: cumulative(len(labels)),
)
