"""Choose between training methods by cross-validation, when labels are few.

    rows → folds; each method is trained on all folds but one and predicts that one
        → logits of each row by a model that was not trained on it ("out of fold")
        → one temperature, fitted on the other folds → log-likelihood of each row
    the first method is chosen, unless another has a mean that is higher by more than the noise

Log-likelihoods of the same rows are compared in pairs, which removes how difficult each row is.

Sources: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2, for the temperature; Breiman et al.
1984, "Classification and Regression Trees", section 3.4.3, for the standard error as the measure of noise.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.data.batching.batch import Integers
from toolkit.evaluation.statistics.clusters import kept, standard_error
from toolkit.metrics.means import mean
from toolkit.training.adaptation.probe_kinds import Doubles, log_likelihoods

_BEHIND = 1.0  # standard errors below the best at which a method is dropped before its last fold
_TEMPERATURES = np.geomspace(0.25, 8.0, 41)


@dataclass(frozen=True)
class OutOfFold:
    """Logits of rows by models that were not trained on them.

    Attributes:
        logits: Shape (N, C); undefined for rows whose fold is not predicted.
        labels: Class numbers. Shape (N,).
        folds: Number of each row's fold. Shape (N,).
        done: Numbers of the folds that are predicted.
        clusters: Number of each row's cluster; None where rows are independent. Shape (N,).
    """

    logits: Doubles
    labels: Integers
    folds: Integers
    done: Sequence[int]
    clusters: Integers | None = None

    @property
    def known(self) -> Integers:
        """Row numbers of the folds that are predicted, ascending."""
        return np.flatnonzero(np.isin(self.folds, list(self.done)))

    def scaled(self) -> Doubles:
        """Return the logits of the known rows, each fold divided by the temperature that suits the others."""
        rows = self.known
        logits, labels, folds = self.logits[rows].copy(), self.labels[rows], self.folds[rows]
        for fold in self.done:
            others = folds != fold if len(self.done) > 1 else folds == fold
            logits[folds == fold] /= temperature(self.logits[rows][others], labels[others])
        return logits

    def log_likelihoods(self) -> Doubles:
        """Return the log-likelihood of each known row's class, in nats, after `scaled`."""
        return log_likelihoods(self.scaled(), self.labels[self.known])

    def accuracy(self) -> float:
        """Return the share of the known rows whose class is the most likely one."""
        return float((self.logits[self.known].argmax(axis=1) == self.labels[self.known]).mean())

    def standard_error(self) -> float | None:
        """Return the standard error of the mean log-likelihood over folds; None of a single fold."""
        if len(self.done) < 2:
            return None
        values, folds = self.log_likelihoods(), self.folds[self.known]
        means = [values[folds == fold].mean() for fold in self.done]
        return float(np.std(means, ddof=1) / math.sqrt(len(means)))


def folds_of(labels: Integers, groups: Integers, count: int, seed: int) -> Integers:
    """Return the fold of each row: classes are spread evenly, and rows of one group stay together. Shape (N,).

    Args:
        labels: Class numbers. Shape (N,).
        groups: Rows with equal numbers are not separated. Shape (N,).
        count: How many folds.
        seed: Of the assignment.
    """
    _, members = np.unique(groups, return_inverse=True)
    classes = int(labels.max()) + 1
    folds = np.zeros(len(labels), np.int64)
    held = np.zeros((count, classes))
    for group in np.random.default_rng([seed, 5]).permutation(int(members.max()) + 1):
        rows = np.flatnonzero(members == group)
        brought = np.bincount(labels[rows], minlength=classes)
        fold = min(range(count), key=lambda number: (float(held[number] @ brought), float(held[number].sum())))
        held[fold] += brought
        folds[rows] = fold
    return folds


def temperature(logits: Doubles, labels: Integers) -> float:
    """Return the divisor of logits (N, C) with the least log loss, of 41 between a quarter and 8."""
    losses = [-log_likelihoods(logits / value, labels).mean() for value in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def difference(first: OutOfFold, second: OutOfFold) -> tuple[float, float]:
    """Return the mean lead of `first` in log-likelihood, on rows that both predicted, and its standard error.

    The standard error is over rows, or over clusters.
    """
    done = [fold for fold in first.done if fold in second.done]
    parts = []
    for method in (first, second):
        values = np.full(len(method.labels), np.nan)
        values[method.known] = method.log_likelihoods()
        parts.append(values)
    both = np.isin(first.folds, done)
    ahead = (parts[0] - parts[1])[both]
    error = standard_error(np.stack([ahead, np.ones(len(ahead))], axis=1), mean, kept(first.clusters, both))
    return float(ahead.mean()), error if math.isfinite(error) else 0.0


def choose(candidates: Mapping[str, OutOfFold], noise: float = 0.0) -> str:
    """Return the name of the chosen candidate.

    Args:
        candidates: By name, the one to prefer first, each with all folds predicted.
        noise: Standard errors of the mean difference by which a later one must be better; on a few dozen rows even a
            relevant difference is seldom larger than one.
    """
    best = next(iter(candidates))
    for name, candidate in candidates.items():
        if name == best:
            continue
        ahead, error = difference(candidate, candidates[best])
        if ahead > noise * error:
            best = name
    return best


def is_behind(name: str, candidates: Mapping[str, OutOfFold]) -> bool:
    """Whether a candidate is so much worse than another that its remaining folds need not be computed.

    Args:
        name: The candidate.
        candidates: By name, with the folds predicted so far.
    """
    for other, theirs in candidates.items():
        if other != name and any(fold in theirs.done for fold in candidates[name].done):
            ahead, noise = difference(candidates[name], theirs)
            if ahead < -_BEHIND * noise:
                return True
    return False
