"""What a metric is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Metric:
    """A figure that is a function of sums over examples.

    Attributes:
        name: Short name, also the key of the result.
        title: As the report prints it.
        statistics: (predictions, references, names of the classes) → one row an example. Shape (N, S).
        aggregate: Sums of such rows → the figure. Shape (..., S) → (...).
        value_type: What one prediction is: "int64" (a class), "string", or "labels" (a class for each word).
        unit: "fraction" is printed as a percentage, "score" as it is.
        higher_is_better: Which way is up.
        proportion: Whether the figure is a share of independent successes, as accuracy is.
    """

    name: str
    title: str
    statistics: Callable[[Sequence[Any], Sequence[Any], Sequence[str]], Floats]
    aggregate: Callable[[Floats], Floats]
    value_type: Literal["int64", "string", "labels"] = "int64"
    unit: Literal["fraction", "score"] = "fraction"
    higher_is_better: bool = True
    proportion: bool = False
