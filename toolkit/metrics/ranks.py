"""Ranking of weighted examples."""

from collections.abc import Callable
from typing import Any

import numpy as np

from toolkit.metrics.base import Floats

Integers = np.ndarray[Any, np.dtype[np.int64]]
_CELLS = 4_000_000  # weights that are ranked at a time


def ranked(scores: Floats) -> tuple[Integers, Integers]:
    """Return the order of falling scores, and where in it each group of equal scores begins. Shapes (N,) and (G,)."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def in_pieces(figure: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """Let a figure of weights, (B, N) → (B,), take some rows of them at a time, which bounds memory."""

    def in_turn(weights: Floats) -> Floats:
        step = max(1, _CELLS // max(1, weights.shape[1]))
        return np.concatenate([figure(weights[start : start + step]) for start in range(0, len(weights), step)])

    return in_turn
