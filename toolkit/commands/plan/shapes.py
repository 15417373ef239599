"""The micro-batches of a run, and costs that depend on their shape.

A cost of a transformer is a sum of parts that are fixed, for each example, for each token, and for each pair of tokens
of an example. `fit` finds the four factors from a few measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.data.batching.batch import Integers, plan_epoch, split_step

_ROUNDS = 20  # of weighted least squares
_EXACT = 1e-3  # relative errors below it count as this


@dataclass(frozen=True)
class Shape:
    """The size of a micro-batch.

    Attributes:
        examples: How many there are.
        tokens: Their tokens; padding is counted where the model computes it.
        pairs: Sum of the squares of their lengths.
    """

    examples: int
    tokens: int
    pairs: int

    @classmethod
    def of(cls, lengths: Integers, *, padded: bool) -> "Shape":
        """Return the size of some examples.

        Args:
            lengths: Of each. Shape (examples,).
            padded: Whether the model computes all of them at the length of the longest.
        """
        counted = np.full(len(lengths), lengths.max()) if padded else lengths
        return cls(len(counted), int(counted.sum()), int((counted.astype(np.int64) ** 2).sum()))

    def __add__(self, other: "Shape") -> "Shape":
        return Shape(self.examples + other.examples, self.tokens + other.tokens, self.pairs + other.pairs)


@dataclass(frozen=True)
class Cost:
    """A cost as a function of the shape of a micro-batch.

    Attributes:
        fixed: Of each micro-batch.
        example: Of each example.
        token: Of each token.
        pair: Of each pair of tokens of an example.
    """

    fixed: float = 0.0
    example: float = 0.0
    token: float = 0.0
    pair: float = 0.0

    def of(self, shape: Shape) -> float:
        """Return the cost of a micro-batch."""
        return self.fixed + self.example * shape.examples + self.token * shape.tokens + self.pair * shape.pairs


def fit(shapes: Sequence[Shape], costs: Sequence[float]) -> Cost:
    """Return the cost whose relative errors at some shapes have the least sum; no factor is negative.

    The sum of absolute errors, rather than of squares, leaves out single measurements that were disturbed. It is found
    by least squares with weights that follow the errors.

    Args:
        shapes: Of the micro-batches that were measured. Length N.
        costs: Of each, above 0. Length N.
    """
    from scipy.optimize import nnls

    rows = np.array([[1.0, shape.examples, shape.tokens, shape.pairs] for shape in shapes])
    relative = rows / np.maximum(np.asarray(costs, np.float64), 1e-12)[:, None]
    sizes = np.maximum(relative.max(axis=0), 1e-300)  # columns of like size, which the solver needs
    weights, factors = np.ones(len(rows)), np.zeros(4)
    for _ in range(_ROUNDS):
        factors, _ = nnls(relative / sizes * weights[:, None], weights)
        errors = np.abs(relative / sizes @ factors - 1.0)
        weights = 1.0 / np.sqrt(np.maximum(errors, _EXACT))
    return Cost(*(float(factor) for factor in factors / sizes))


def steps(lengths: Integers, batch_size: int, seed: int) -> list[Integers]:
    """Return the row numbers of each step of the first epoch.

    Args:
        lengths: Of each training row. Shape (rows,).
        batch_size: Rows of a step.
        seed: Of the run.
    """
    return plan_epoch(lengths, batch_size, seed=seed, epoch=0)


def micro_batches(rows: Integers, lengths: Integers, micro: int, tokens: int | None, *, padded: bool) -> list[Shape]:
    """Return the sizes of the micro-batches of a step.

    Args:
        rows: Row numbers of the step.
        lengths: Of each training row. Shape (rows,).
        micro: Rows of a micro-batch at most.
        tokens: Tokens of a micro-batch at most; None for no limit.
        padded: Whether the model computes padding.
    """
    return [Shape.of(lengths[part], padded=padded) for part in split_step(rows, lengths, micro, tokens)]


def powers_of_two(most: int) -> list[int]:
    """Return `most`, and every power of two below it, the largest first."""
    return sorted({*(2**n for n in range(most.bit_length()) if 2**n <= most), most}, reverse=True)
