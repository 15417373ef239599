"""A learning curve: the error of a light probe by the number of labelled rows, and what more labels would gain.

    growing parts of the rows, several draws  →  errors of rows that the probe was not fitted on   `measure`
    error(n) = a + b · n^(-c)                 →  the curve, and gains with intervals               `fit`

Errors follow such a power law in a wide range (Hestness et al. 2017, "Deep Learning Scaling is Predictable,
Empirically"; Viering and Loog 2023, "The Shape of Learning Curves: a Review", section 4.1). Intervals are percentiles
of curves fitted to resampled draws and rows, or clusters of rows. They contain the chance of this sample, and not the
doubt whether the power law holds beyond the measured sizes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.statistics import clusters as clusters_

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Errors = Callable[[Any, Any], Floats | None]  # (rows to fit on, rows to predict) → their errors; None: not learnable

FOLDS, DRAWS = 5, 4
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of the rows outside a fold
FEWEST = 8  # rows to fit on
FEWEST_ROWS = 40  # labelled ones, below which there is no curve
EXPONENTS = np.linspace(0.1, 1.5, 29)  # of which the best is taken
RESAMPLES = 1000
STOP, GO_ON, UNDECIDED = "stop", "go on", "undecided"


@dataclass(frozen=True)
class Measured:
    """Errors by the number of rows that the probe was fitted on.

    Attributes:
        sizes: Rows, in ascending order. Shape (S,).
        errors: Of each row, when it was held out; NaN where the rows were not learnable. Shape (draws, N, S).
    """

    sizes: Integers
    errors: Floats

    @property
    def means(self) -> Floats:
        """The mean error at each size. Shape (S,)."""
        means: Floats = np.nanmean(self.errors, axis=(0, 1))
        return means


@dataclass(frozen=True)
class Estimate:
    """A value with its interval.

    Attributes:
        value: The estimate.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Curve:
    """Power laws a + b · n^(-c): the fitted one first, then those of resamples.

    Attributes:
        laws: a, b and c of each. Shape (1 + B, 3).
        confidence: Of intervals.
    """

    laws: Floats
    confidence: float

    def errors(self, rows: float) -> Floats:
        """Return the error after a number of rows, by each law. Shape (1 + B,)."""
        a, b, c = self.laws.T
        errors: Floats = a + b * float(rows) ** -c
        return errors

    def error(self, rows: float) -> Estimate:
        """Return the predicted error after a number of labelled rows."""
        return self._estimate(self.errors(rows))

    def gain(self, rows: float, more: float) -> Estimate:
        """Return by how much `more` labels after `rows` would reduce the error."""
        return self._estimate(self.errors(rows) - self.errors(rows + more))

    @property
    def floor(self) -> Estimate:
        """The error that no number of labels would go below, by this law."""
        return self._estimate(self.laws[:, 0])

    def _estimate(self, values: Floats) -> Estimate:
        beyond = (1 - self.confidence) / 2
        low, high = np.quantile(values[1:], [beyond, 1 - beyond])
        return Estimate(float(values[0]), float(low), float(high))


def folds_of(rows: int, clusters: Integers | None, generator: np.random.Generator) -> Integers:
    """Return the fold of each row; rows of one cluster are in the same fold. Shape (N,)."""
    if clusters is None:
        return generator.permutation(rows) % FOLDS
    of_cluster: Integers = generator.permutation(clusters_.count(clusters)) % FOLDS
    return of_cluster[clusters]


def measure(
    errors_of: Errors,
    rows: int,
    seed: int,
    clusters: Integers | None = None,
    observe: Callable[[int, int], None] | None = None,
) -> Measured | None:
    """Measure the errors of held-out rows by the number of rows that a probe is fitted on.

    Args:
        errors_of: (numbers of rows to fit on, numbers of rows to predict) → the error of each of the latter.
        rows: N, the number of labelled rows.
        seed: Of the draws.
        clusters: Number of each row's cluster, which is never divided between fitting and predicting.
        observe: Called with (fits done, fits in all).

    Returns:
        None where rows are too few for a curve.
    """
    if rows < FEWEST_ROWS:
        return None
    most = rows - -(-rows // FOLDS)
    sizes = np.unique([max(FEWEST, round(share * most)) for share in SHARES])
    errors = np.full((DRAWS, rows, len(sizes)), np.nan)
    total, done = DRAWS * FOLDS * len(sizes), 0
    for draw in range(DRAWS):
        generator = np.random.default_rng([seed, draw, 11])
        folds = folds_of(rows, clusters, generator)
        for fold in range(FOLDS):
            held_out = np.flatnonzero(folds == fold)
            others = generator.permutation(np.flatnonzero(folds != fold))
            for place, size in enumerate(sizes):
                of_rows = errors_of(others[:size], held_out) if len(held_out) else None
                if of_rows is not None:
                    errors[draw, held_out, place] = of_rows
                done += 1
                if observe is not None:
                    observe(done, total)
    known = np.isfinite(errors).any(axis=(0, 1))
    return Measured(sizes[known], errors[:, :, known]) if known.sum() >= 3 else None


def fit(measured: Measured, seed: int, clusters: Integers | None = None, confidence: float = 0.95) -> Curve:
    """Fit a power law to measured errors, and to resamples of draws and of rows, or clusters.

    Args:
        measured: The errors.
        seed: Of the resamples.
        clusters: Number of each row's cluster; None where rows are independent.
        confidence: Of intervals.
    """
    generator = np.random.default_rng([seed, 13])
    draws, rows, sizes = measured.errors.shape
    known = np.isfinite(measured.errors)
    sums = np.where(known, measured.errors, 0.0)
    units = rows if clusters is None else clusters_.count(clusters)
    # (draws, units, 2S): sums and numbers of errors, of which a resample is a weighted sum
    totals = np.stack(
        [clusters_.sums(np.hstack(both), clusters) for both in zip(sums, known.astype(float), strict=True)]
    )
    of_draws = generator.multinomial(draws, np.full(draws, 1 / draws), RESAMPLES)  # (B, draws)
    of_units = generator.multinomial(units, np.full(units, 1 / units), RESAMPLES)  # (B, units)
    weighted = np.einsum("bd,dbs->bs", of_draws, np.stack([of_units @ part for part in totals]))
    both = np.vstack([totals.sum(axis=(0, 1)), weighted])
    means = both[:, :sizes] / np.maximum(both[:, sizes:], 1e-12)
    level = confidence if clusters is None else clusters_.widened(confidence, clusters)
    return Curve(power_laws(measured.sizes, means, np.sqrt(measured.sizes)), level)


def power_laws(sizes: Any, errors: Floats, weights: Any) -> Floats:
    """Return a, b and c of a + b · n^(-c), with a, b at least 0, of least weighted squares. Shape (B, 3).

    For each exponent of a grid a and b are a linear regression, solved for all rows at once.

    Args:
        sizes: n. Shape (S,).
        errors: Shape (B, S).
        weights: Of the sizes; large sizes are nearer to the question. Shape (S,).
    """
    weights = np.asarray(weights, np.float64) / np.sum(weights)
    best = np.zeros((len(errors), 3))
    least = np.full(len(errors), np.inf)
    mean = errors @ weights
    for exponent in EXPONENTS:
        powers = np.asarray(sizes, np.float64) ** -exponent
        middle = powers @ weights
        spread = ((powers - middle) ** 2) @ weights
        slope = np.maximum((errors - mean[:, None]) * (powers - middle) @ weights / spread, 0.0)
        level = mean - slope * middle
        through_zero = (errors * powers) @ weights / (powers**2 @ weights)
        slope = np.where(level < 0, through_zero, slope)
        level = np.maximum(level, 0.0)
        loss = ((errors - level[:, None] - slope[:, None] * powers) ** 2) @ weights
        better = loss < least
        least = np.where(better, loss, least)
        best[better] = np.column_stack([level, slope, np.full(len(errors), exponent)])[better]
    return best


def advice(gain: Estimate, threshold: float) -> str:
    """Return whether to stop: one claim about one gain, by the ends of its interval.

    Args:
        gain: Predicted of the next labels.
        threshold: The least gain that is worth them.
    """
    if gain.high < threshold:
        return STOP
    return GO_ON if gain.low >= threshold else UNDECIDED


def points(measured: Measured, curve: Curve) -> Sequence[dict[str, float]]:
    """Return the measured and the fitted error at each size."""
    return [
        {"rows": int(size), "error": float(error), "fitted": float(curve.errors(size)[0])}
        for size, error in zip(measured.sizes, measured.means, strict=True)
    ]
