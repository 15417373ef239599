"""Figures of the order of one query's candidates; candidates with the same score share their places.

Each takes the gain (how relevant it is, 0 or more) and the score of each candidate.
"""

from typing import Any

import numpy as np

from toolkit.metrics.base import Floats

DEPTH = 10  # places that NDCG counts


def ndcg(gains: Floats, scores: Floats, depth: int = DEPTH) -> float:
    """Return the discounted gain of the first places, as a share of that of the best order.

    Candidates with the same score have the mean gain of their places, as in scikit-learn.

    Source: Järvelin and Kekäläinen 2002, "Cumulated Gain-Based Evaluation of IR Techniques"; gains are not
    exponentiated.
    """
    discounts = 1 / np.log2(np.arange(len(gains)) + 2)
    discounts[depth:] = 0
    best = float(np.sort(gains)[::-1] @ discounts)
    _, tied, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    means = np.bincount(tied, gains) / sizes
    places = np.repeat(means, sizes)  # gain of each place, the best score first
    return min(1.0, float(places @ discounts) / best)


def reciprocal_rank(relevant: Any, scores: Floats) -> float:
    """Return 1 / the place of the first relevant candidate; of the same scores it has the last place."""
    best = scores[relevant].max()
    return 1 / int((scores >= best).sum() - (scores[relevant] == best).sum() + 1)


def average_precision(relevant: Any, scores: Floats) -> float:
    """Return the mean precision at the places of the relevant candidates, as in scikit-learn."""
    above = scores[None, :] >= scores[relevant][:, None]  # (relevant, candidates)
    return float((above[:, relevant].sum(axis=1) / above.sum(axis=1)).mean())
