"""How far confidences are from the shares of right predictions, and how likely that is by chance."""

import math
from statistics import NormalDist

import numpy as np

from toolkit.evaluation.statistics.clusters import Integers, count, flipped_p, quantile
from toolkit.evaluation.statistics.intervals import Floats, Interval

BINS = 10
EQUAL_BINS = 15  # of equal width, as papers have them
REDRAWS = 1000  # simulated draws of a perfectly calibrated model


def bin_of(confidence: Floats) -> Integers:
    """Sort examples into ten bins with about as many examples each; equal confidences share a bin. Shape (N,)."""
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, confidence, side="right")


def _gaps(
    confidence: Floats, right: Floats, number: Integers, clusters: Integers | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return each bin's share of the examples, mean of confidence minus correctness, and that mean's standard error.

    A single example, or cluster, has no spread; its standard error is that of a calibrated prediction.
    """
    sizes = np.bincount(number).astype(np.float64)
    held = sizes > 0
    gap = confidence - right
    mean = np.bincount(number, gap)[held] / sizes[held]
    squares = np.bincount(number, gap**2)[held] / sizes[held] - mean**2
    spread = np.maximum(squares, 0) / np.maximum(sizes[held] - 1, 1)
    alone = np.bincount(number, confidence * (1 - confidence))[held]
    if clusters is not None:
        sums = _sums(gap - (np.bincount(number, gap) / np.maximum(sizes, 1))[number], number, clusters)[:, held]
        units = (_sums(np.ones(len(gap)), number, clusters)[:, held] > 0).sum(axis=0)  # clusters in each bin
        spread = (sums**2).sum(axis=0) * units / np.maximum(units - 1, 1) / sizes[held] ** 2
        return sizes[held] / len(gap), mean, np.sqrt(np.where(units > 1, spread, alone / sizes[held]))
    return sizes[held] / len(gap), mean, np.sqrt(np.where(sizes[held] > 1, spread, alone))


def _sums(values: Floats, number: Integers, clusters: Integers) -> Floats:
    """Sum values (N,) over the rows of each cluster in each bin. Shape (clusters, bins)."""
    bins = int(number.max()) + 1
    totals: Floats = np.zeros((count(clusters), bins))
    np.add.at(totals, (clusters, number), values)
    return totals


def plain_error(confidence: Floats, right: Floats) -> float:
    """Return the expected calibration error over ten bins of equal size without correction, which is biased upward."""
    share, gap, _ = _gaps(confidence, right, bin_of(confidence))
    return float((share * np.abs(gap)).sum())


def equal_width_error(confidence: Floats, right: Floats) -> float:
    """Return the expected calibration error over 15 bins of equal width, as papers give it; it is biased upward.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3 and section 5.
    """
    edges = np.linspace(0, 1, EQUAL_BINS + 1)
    number = np.clip(
        np.searchsorted(edges, confidence, side="left") - 1, 0, EQUAL_BINS - 1
    )  # a bin holds its upper end
    return float(np.abs(np.bincount(number, confidence - right)).sum() / len(confidence))


def mean_gap(confidence: Floats, right: Floats, level: float, clusters: Integers | None = None) -> Interval:
    """Return the mean confidence minus the accuracy, with Student's interval over rows or clusters.

    Args:
        confidence: Probability of the predicted class. Shape (N,).
        right: Whether the prediction is right, 1 or 0. Shape (N,).
        level: Confidence of the interval.
        clusters: Number of each example's cluster; None where examples are independent. Shape (N,).
    """
    from scipy.stats import t

    gap = confidence - right
    value, units = float(gap.mean()), len(gap) if clusters is None else count(clusters)
    if units < 2:
        return Interval(value, -1.0, 1.0)
    sums = gap - value if clusters is None else np.bincount(clusters, gap - value)
    error = math.sqrt(units / (units - 1) * float((sums**2).sum())) / len(gap)
    times = float(t.ppf(0.5 + level / 2, units - 1)) if clusters is None else quantile(level, clusters)
    return Interval(value, value - times * error, value + times * error)


def calibration_error(
    confidence: Floats, right: Floats, level: float, seed: int, clusters: Integers | None = None
) -> Interval:
    """Return the expected calibration error without most of its bias, and an interval.

    A bin's gap is never exactly zero by chance, so the plain error of a perfect model is above zero. Taking each gap to
    be normal with the standard error of its bin, that excess can be computed and subtracted (after Kumar, Liang and Ma
    2019, "Verified Uncertainty Calibration"); of large errors it subtracts a little too much. The interval goes from
    the corrected error minus to the plain error plus the usual multiple of the standard error. It begins at zero unless
    perfect calibration is rejected by `calibrated_p`, since near zero the normal approximation does not hold. By
    simulation its coverage of the true error of these bins is about the nominal level or higher.

    Args:
        confidence: Probability of the predicted class, or of one class. Shape (N,).
        right: Whether the prediction is right, or the class true, 1 or 0. Shape (N,).
        level: Confidence of the interval, for example 0.95.
        seed: Of the redraws.
        clusters: Number of each example's cluster, of which standard errors are then; None where examples are
            independent. Shape (N,).
    """
    number = bin_of(confidence)
    share, gap, error = _gaps(confidence, right, number, clusters)
    size, safe = np.abs(gap), np.maximum(error, 1e-12)
    below = np.array([NormalDist().cdf(-z) for z in size / safe])
    folded = safe * math.sqrt(2 / math.pi) * np.exp(-((size / safe) ** 2) / 2) + size * (1 - 2 * below)
    plain = float((share * size).sum())
    value = max(0.0, plain - float((share * (folded - size)).sum()))
    variance = float(((share * error) ** 2).sum())
    if clusters is not None:  # the gaps of bins depend on each other where clusters have rows in several
        towards = np.sign(np.bincount(number, confidence - right))
        means = (np.bincount(number, confidence - right) / np.maximum(np.bincount(number), 1))[number]
        influences = _sums(confidence - right - means, number, clusters) @ towards / len(right)
        groups = count(clusters)
        variance = max(variance, float((influences**2).sum()) * groups / max(groups - 1, 1))
    spread = quantile(level, clusters) * math.sqrt(variance)
    clear = calibrated_p(confidence, right, seed, clusters=clusters) < 1 - level
    return Interval(value, max(0.0, value - spread) if clear else 0.0, min(1.0, plain + spread))


def calibrated_p(
    confidence: Floats, right: Floats, seed: int, redraws: int | None = None, clusters: Integers | None = None
) -> float:
    """Return the p-value of perfect calibration: twice the smaller one of two tests (Bonferroni).

    One takes the plain error, which any deviation raises. The other one finds confidences that are too extreme or not
    extreme enough with fewer rows: on 200 rows of two classes a temperature of 2 in 99 % of the samples instead of 91,
    at a level of 2 %. It is the z of Spiegelhalter 1986, "Probabilistic Prediction in Patient Management and Clinical
    Trials": the sum of (1 - 2 × confidence) × (right - confidence) over its standard deviation.
    """
    of_error = error_p(confidence, right, seed, redraws, clusters)
    return min(1.0, 2 * min(of_error, _extremes_p(confidence, right, seed, redraws, clusters)))


def _extremes_p(confidence: Floats, right: Floats, seed: int, redraws: int | None, clusters: Integers | None) -> float:
    """Return the two-sided p-value of Spiegelhalter's z; with clusters their signs are flipped."""
    parts = (1 - 2 * confidence) * (right - confidence)
    if clusters is not None:
        sums = np.bincount(clusters, parts)[:, None].astype(np.float64)
        return flipped_p(sums, lambda drawn: np.abs(drawn[:, 0]), REDRAWS if redraws is None else redraws, seed)
    variance = float(((1 - 2 * confidence) ** 2 * confidence * (1 - confidence)).sum())
    if variance <= 0:
        return 1.0
    return 2 * NormalDist().cdf(-abs(float(parts.sum())) / math.sqrt(variance))


def error_p(
    confidence: Floats, right: Floats, seed: int, redraws: int | None = None, clusters: Integers | None = None
) -> float:
    """Return the probability of a plain error at least as large for a perfectly calibrated model.

    By simulating how many predictions of each bin are right (Bröcker and Smith 2007, "Increasing the Reliability of
    Reliability Diagrams"); that number is a sum of independent events of known probabilities. With clusters, whose
    events depend on each other in an unknown way, the signs of their gaps are flipped (`clusters.flipped_p`).
    """
    random, redraws = np.random.default_rng(seed), REDRAWS if redraws is None else redraws
    number = bin_of(confidence)
    if clusters is not None:
        gaps = _sums(confidence - right, number, clusters)
        return flipped_p(gaps, lambda sums: np.abs(sums).sum(axis=1), redraws, seed)
    observed, drawn = 0.0, np.zeros(redraws)
    for members in (number == index for index in np.unique(number)):
        expected = confidence[members].sum()
        observed += abs(expected - right[members].sum())
        below = np.cumsum(sum_distribution(confidence[members]))
        counts = np.searchsorted(below[:-1], random.random(redraws), side="right")
        drawn += np.abs(expected - counts)
    return float((1 + (drawn >= observed - 1e-9).sum()) / (1 + redraws))


def sum_distribution(probabilities: Floats) -> Floats:
    """Return the probability of each number of events among independent ones. (N,) → (N + 1,).

    The distributions of neighbours are joined in pairs by convolution until one is left: N log² N operations.
    """
    count = len(probabilities)
    padded = np.concatenate([probabilities, np.zeros((1 << max(0, count - 1).bit_length()) - count)])
    joined = np.stack([1 - padded, padded], axis=1)  # (a power of two, 2)
    while len(joined) > 1:
        size = 2 * joined.shape[1] - 1
        spectrum = np.fft.rfft(joined, size, axis=1)
        joined = np.maximum(np.fft.irfft(spectrum[::2] * spectrum[1::2], size, axis=1), 0.0)
    result: Floats = joined[0, : count + 1]
    return result
