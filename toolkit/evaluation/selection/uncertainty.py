"""How uncertain a model is of each row, by the probabilities of its classes."""

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


def margin(probabilities: Any) -> Floats:
    """Return 1 minus the difference of the two highest probabilities, of one class for each row. (N, C) → (N,).

    Source: Scheffer, Decomain and Wrobel 2001, "Active Hidden Markov Models for Information Extraction"; in comparisons
    as good as any other measure (Bahri et al. 2022, "Is Margin All You Need?").
    """
    ranked = np.sort(np.asarray(probabilities, np.float64), axis=1)
    return 1.0 - (ranked[:, -1] - ranked[:, -2])


def spread(probabilities: Any) -> Floats:
    """Return the standard deviation of the number of an ordered class. (N, C) → (N,)."""
    values = np.asarray(probabilities, np.float64)
    numbers = np.arange(values.shape[1])
    mean = values @ numbers
    return np.sqrt(np.maximum(values @ numbers**2 - mean**2, 0.0))


def entropy(probabilities: Any) -> Floats:
    """Return the sum of the entropies of each class, of which a row may have any number, in nats. (N, C) → (N,)."""
    values = np.clip(np.asarray(probabilities, np.float64), 1e-12, 1 - 1e-12)
    entropies: Floats = -(values * np.log(values) + (1 - values) * np.log1p(-values)).sum(axis=1)
    return entropies
