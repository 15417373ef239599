"""Whether a classifier can tell new rows from reference rows.

    rows → kernel (N, N) → ridge regression of "is new", by folds → score of each held-out row → area under the curve

There is a classifier for each part of what is known of a row, since one of all parts together would miss a change of
the predictions among thousands of words. If none can, their areas under the ROC curve are one half; the test takes the
largest, in standard deviations of random divisions. Ridge regression has a closed form in which the labels are a
factor, so the classifier is trained again for each of a thousand random divisions at the cost of a matrix product, and
the p-value is exact.

Source: Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests"; Rabanser, Günnemann and Lipton 2019,
"Failing Loudly: An Empirical Study of Methods for Detecting Dataset Shift"; the interval by LeDell, Petersen and van
der Laan 2015, "Computationally Efficient Confidence Intervals for Cross-Validated Area Under the ROC Curve Estimates".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from toolkit.evaluation.shift.exchange import Division, Singles, p_value
from toolkit.evaluation.statistics import clusters as clusters_
from toolkit.evaluation.statistics.clusters import Floats, Integers
from toolkit.evaluation.statistics.intervals import Interval

_FOLDS = 5
_PENALTY = 1.0  # on a kernel whose diagonal is about 1
_COLUMNS = 500  # divisions whose scores are held at a time


@dataclass(frozen=True)
class Domain:
    """How well new rows can be told from reference rows.

    Attributes:
        part: Name of the part by which they are told apart best.
        area: Area under the ROC curve of held-out rows by that part, with an interval that holds for all parts.
        p: Probability of a part with an area at least as large if the rows were from one distribution.
        standard_error: Of the area.
        parts: Number of parts.
        scores: How much each row looks like a new one: its rank among the held-out rows of its fold, from 0 to 1.
            Shape (N,).
    """

    part: str
    area: Interval
    p: float
    standard_error: float
    parts: int
    scores: Floats

    def least(self, level: float) -> float:
        """Return the lower end of the area's one-sided interval at a level, which holds for all parts."""
        return self.area.value - NormalDist().inv_cdf(1 - level / self.parts) * self.standard_error


def told_apart(kernels: Mapping[str, Singles], rows: Division, new: Singles, confidence: float, seed: int) -> Domain:
    """Train and test a classifier for each part by cross-validation, for the true division and for random ones.

    Args:
        kernels: Name of a part → inner products of the rows' features. Shapes (N, N).
        rows: The rows.
        new: From `exchanged`. Shape (N, B).
        confidence: Of the interval.
        seed: Of the folds, which hold whole units and do not depend on which are new.
    """
    folds = np.random.default_rng([seed, 12]).permutation(clusters_.count(rows.units))[rows.units] % _FOLDS
    tried = {part: _cross_validated(kernel, rows, new, folds) for part, kernel in kernels.items()}
    areas = np.stack([found[0] for found in tried.values()])  # (parts, B)
    spread = areas.std(axis=1, keepdims=True)
    distances = np.divide(areas - areas.mean(axis=1, keepdims=True), spread, out=np.zeros_like(areas), where=spread > 0)
    best = int(distances[:, 0].argmax())
    part, (_, scores, placements) = list(tried.items())[best]
    value = float(areas[best, 0])
    error = _standard_error(placements, rows)
    joint = 1 - (1 - confidence) / len(tried)
    arm = error * clusters_.quantile(joint, rows.units if rows.grouped else None)
    area = Interval(value, max(0.0, value - arm), min(1.0, value + arm))
    return Domain(part, area, p_value(distances.max(axis=0)), error, len(tried), scores)


def _cross_validated(kernel: Singles, rows: Division, new: Singles, folds: Integers) -> tuple[Floats, Floats, Floats]:
    """Return the area under the curve for each division (B,), and scores and placements for the true one (N,)."""
    wins, pairs = np.zeros(new.shape[1]), np.zeros(new.shape[1])
    scores, placements = np.full(rows.rows, 0.5), np.full(rows.rows, 0.5)
    for fold in range(_FOLDS):
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if not len(test) or not len(train):
            continue
        weights = _weights(kernel, train, test)
        for start in range(0, new.shape[1], _COLUMNS):
            part = slice(start, start + _COLUMNS)
            truth = new[train, part]
            ranks = _ranks(weights @ (truth - truth.mean(axis=0)))
            held_out = new[test, part].astype(np.float64)
            count = held_out.sum(axis=0)
            wins[part] += (ranks * held_out).sum(axis=0) - count * (count + 1) / 2
            pairs[part] += count * (len(test) - count)
            if start == 0:
                scores[test] = (ranks[:, 0] - 0.5) / len(test)
                placements[test] = _placements(ranks[:, 0], held_out[:, 0] > 0)
    return np.divide(wins, pairs, out=np.full_like(wins, 0.5), where=pairs > 0), scores, placements


def _weights(kernel: Singles, train: Integers, test: Integers) -> Singles:
    """Return the matrix that turns labels of training rows into scores of test rows. Shape (test, train)."""
    from scipy.linalg import cho_factor, cho_solve

    own = kernel[np.ix_(train, train)] + 1.0  # the constant is an intercept
    own[np.diag_indices(len(train))] += _PENALTY
    across = kernel[np.ix_(train, test)] + 1.0
    solved: Singles = cho_solve(cho_factor(own, overwrite_a=True), across).T
    return solved


def _ranks(scores: Singles) -> Floats:
    from scipy.stats import rankdata

    ranks: Floats = rankdata(scores, axis=0)
    return ranks


def _placements(ranks: Floats, new: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    """Return for each row the share of rows of the other side that its score is on the right side of. Shape (n,)."""
    from scipy.stats import rankdata

    placed = np.full(len(ranks), 0.5)
    count = int(new.sum())
    if 0 < count < len(ranks):
        placed[new] = (ranks[new] - rankdata(ranks[new])) / (len(ranks) - count)
        placed[~new] = 1 - (ranks[~new] - rankdata(ranks[~new])) / count
    return placed


def _standard_error(placements: Floats, rows: Division) -> float:
    """Return the standard error of the area, over units; where all pairs are in order, that of a single share."""
    new = rows.is_new
    counts = np.where(new, new.sum(), (~new).sum())
    influence = np.bincount(
        rows.units, (placements - np.where(new, placements[new].mean(), placements[~new].mean())) / counts
    )
    error = math.sqrt(float((influence**2).sum()))
    few = min(rows.units_on(True), rows.units_on(False))
    return error if error > 0 else 1 / (2 * few)
