"""A rule of a gate with what was measured for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from toolkit.config.settings import EvaluationConfig
from toolkit.data.batching.batch import Integers
from toolkit.evaluation.compare import Aligned
from toolkit.evaluation.context import clusters
from toolkit.evaluation.prediction_store import GROUP
from toolkit.evaluation.statistics.intervals import Interval
from toolkit.tasks.contract import Recipe

Loss = Callable[[float], Interval]


@dataclass(frozen=True)
class Item:
    """One figure that a rule is about.

    Attributes:
        name: Of the slice, the gap or the change of inputs; "" where a rule has one figure.
        loss: How much worse the new model is. Takes the probability with which each end of the interval may err; a
            figure without uncertainty has an interval without width.
        rows: Of which it is; None where it is not of rows.
    """

    name: str
    loss: Loss
    rows: int | None = None


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        key: "metric", "slices", "bias", "robustness", "calibration", "latency" or "size".
        title: What must not be worse.
        margin: Largest allowed loss.
        unit: Of the loss: that of a metric, "ratio" or "bytes".
        items: The figures, none of which may be worse.
        reason: Why nothing was measured; "" where something was.
        tested: Whether figures have uncertainty.
    """

    key: str
    title: str
    margin: float
    unit: str
    items: Sequence[Item] = ()
    reason: str = ""
    tested: bool = True


@dataclass(frozen=True)
class Pair:
    """The old and the new model on the same rows; wherever there are two of a thing, that of the old one is first.

    Attributes:
        aligned: Their predictions.
        references: The truth.
        recipe: The task.
        config: Resamples.
        seed: Of the bootstrap.
        reports: Of their evaluations on these rows, as `schema.fill` returns them; None where there is none.
        bytes: Size of each in memory; None where it is not known.
    """

    aligned: Aligned
    references: Sequence[Any]
    recipe: Recipe
    config: EvaluationConfig
    seed: int
    reports: Sequence[Mapping[str, Any] | None] = (None, None)
    bytes: Sequence[float | None] = (None, None)

    @cached_property
    def clusters(self) -> Integers | None:
        """The number of each row's cluster, where rows depend on each other."""
        return clusters(self.recipe.task, self.aligned.rows, GROUP)
