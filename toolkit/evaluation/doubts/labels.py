"""Labels of training rows that predictions of models that were not trained on them contradict.

Classes are doubted by confident learning, as in the report's section on held-out rows, and where a wrong label is more
probable than a right one. How many labels are wrong is estimated for one class a row alone (`label_noise`): there the
ranking has an expected precision. The others are rankings without a claim.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.evaluation.checks.label_errors import doubted
from toolkit.evaluation.doubts.doubt import LABEL, Doubt
from toolkit.evaluation.statistics import label_noise
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.evaluation.statistics.intervals import Floats
from toolkit.metrics.classification import membership

LIKELY = 0.5  # probability of a mistake from which a label is doubted, also where confident learning does not
FAR = 3.5  # standard deviations of the residuals, measured by their median, from which a number is doubted
_NORMAL = 1.4826  # standard deviation of a normal distribution over its median absolute deviation


def of_one_class(
    probabilities: Floats, references: Sequence[int] | Integers, clusters: Integers | None = None
) -> tuple[list[Doubt], dict[str, Any] | None]:
    """Return the doubts, the most probable mistakes first, and the estimated share of wrong labels.

    Args:
        probabilities: Of each class, for each row, from a model that did not see it. Shape (N, C).
        references: The labels.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).

    Returns:
        The doubts, whose scores are probabilities of mistakes at the estimated share; and `LabelNoise.facts` of them
        with "rows", and "expected", the number of wrong labels as "value", "low" and "high". None on few rows, where
        scores are one minus the probability of the label.
    """
    labels = np.asarray(references, np.int64)
    own = probabilities[np.arange(len(labels)), labels]
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1.0
    suggestions = dict(doubted(probabilities, labels))
    noise = label_noise.estimated(probabilities, labels, clusters)
    if noise is None or not noise.rate:
        scores = 1.0 - own if noise is None else np.zeros(len(labels))
        order = list(suggestions)  # by the margin
    else:
        scores = noise.posteriors(probabilities, labels)
        likely = np.flatnonzero(scores >= LIKELY)
        suggestions = {int(row): int(others[row].argmax()) for row in likely} | suggestions
        order = sorted(suggestions, key=lambda row: -scores[row])
    doubts = [Doubt(row, (LABEL,), float(scores[row]), suggestions[row]) for row in order]
    if noise is None:
        return doubts, None
    shares = {"value": noise.rate, "low": noise.low, "high": noise.high}
    expected = {key: share * len(labels) for key, share in shares.items()}
    return doubts, {**noise.facts(probabilities, labels, order), "rows": len(labels), "expected": expected}


def of_classes(probabilities: Floats, references: Sequence[Sequence[int]]) -> list[Doubt]:
    """Return the doubts where a row has any number of classes: each is a question of its own, yes or no.

    Args:
        probabilities: Of each class, for each row. Shape (N, C).
        references: Numbers of the classes of each row.
    """
    true = membership(references, probabilities.shape[1])
    changed: dict[int, set[int]] = defaultdict(set)
    scores: dict[int, float] = {}
    for number in range(probabilities.shape[1]):
        yes = probabilities[:, number]
        for doubt in of_one_class(np.stack([1 - yes, yes], axis=1), true[:, number].astype(np.int64))[0]:
            row = doubt.row
            changed[row].add(number)
            scores[row] = max(scores.get(row, 0.0), float(yes[row] if doubt.suggestion else 1 - yes[row]))
    order = sorted(scores, key=lambda row: -scores[row])
    return [Doubt(row, (LABEL,), scores[row], sorted(set(references[row]) ^ changed[row])) for row in order]


def of_numbers(predictions: Floats, references: Sequence[float]) -> list[Doubt]:
    """Return the rows whose number is far from its prediction, the farthest first.

    Scores are residuals in robust standard deviations (Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers").

    Args:
        predictions: From a model that did not see the rows. Shape (N,).
        references: The numbers.
    """
    usual = spread(predictions, references)
    if usual <= 0:
        return []
    residuals = np.asarray(references, np.float64) - predictions
    scores = np.abs(residuals - np.median(residuals)) / usual
    order = np.argsort(-scores, kind="stable")
    return [
        Doubt(int(row), (LABEL,), float(scores[row]), float(predictions[row])) for row in order if scores[row] >= FAR
    ]


def spread(predictions: Floats, references: Sequence[float]) -> float:
    """Return the standard deviation of the residuals as their median absolute deviation has it."""
    residuals = np.asarray(references, np.float64) - predictions
    return _NORMAL * float(np.median(np.abs(residuals - np.median(residuals))))


def of_words(probabilities: Floats, places: Sequence[tuple[int, int]], references: Sequence[Any]) -> list[Doubt]:
    """Return sentences with doubtful labels of words, each with all its labels as they are suggested.

    Args:
        probabilities: Of each class, for each word. Shape (W, C).
        places: Row and number of each word.
        references: Class numbers of the words of each row.
    """
    labels = np.array([references[row][word] for row, word in places], np.int64)
    suggested: dict[int, list[int]] = {}
    scores: dict[int, float] = {}
    for number, other in doubted(probabilities, labels):
        row, word = places[number]
        suggested.setdefault(row, list(references[row]))[word] = other
        scores[row] = max(scores.get(row, 0.0), float(1 - probabilities[number, labels[number]]))
    return [Doubt(row, (LABEL,), scores[row], suggested[row]) for row in sorted(scores, key=lambda row: -scores[row])]
