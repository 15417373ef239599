"""The bridge to `evaluate`: the project's metrics as its modules, and the Hub's modules by name."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit import sources
from toolkit.errors import SourceError
from toolkit.metrics import (
    classification,
    multi_label,
    ordinal,
    probability,
    ranking,
    regression,
    transcription,
    translation,
)
from toolkit.metrics.base import Metric, RankMetric, figure_of, reference_type

METRICS: dict[str, Metric | RankMetric] = {
    **classification.METRICS,
    **probability.METRICS,
    **multi_label.METRICS,
    **ordinal.METRICS,
    **regression.METRICS,
    **translation.METRICS,
    **transcription.METRICS,
    **ranking.METRICS,
}


def load(metric: str | Metric | RankMetric) -> tuple[Any, Metric | RankMetric | None]:
    """Return a metric's definition where it is the project's own, else its `evaluate` module.

    `as_module` makes a module of a definition; the import of `evaluate`, seconds long, waits until one is needed.

    Args:
        metric: A name of the project's, a definition, or a name on the Hub.

    Returns:
        (None, its definition), or (its module, None).

    Raises:
        SourceError: There is no such metric here, and the Hub has none or cannot be reached.
    """
    definition = METRICS.get(metric) if isinstance(metric, str) else metric
    if definition is not None:
        return None, definition
    problem = sources.hub_problem()
    if problem is not None:
        raise SourceError(
            f"The metric `{metric}` is not one of the toolkit's own ({', '.join(METRICS)}) and {problem}.",
            "Name one of these in the recipe, or try again with a network.",
            id="hub.unreachable",
        )
    if Path(str(metric)).exists():  # the library would run its code
        raise SourceError(
            f"{metric} is the name of a file or folder here, and code in the current folder is not run.",
            "Run the command in another folder.",
            id="source.metric-name-taken",
        )
    import evaluate

    try:
        return evaluate.load(metric), None
    except Exception as error:
        raise SourceError(
            f"The metric `{metric}` cannot be loaded from the Hub: {error}",
            "Check the name in the recipe.",
            id="hub.cannot-load",
        ) from error


def as_module(metric: Metric | RankMetric, labels: Sequence[str] = ()) -> Any:
    """Return `metric` as an `evaluate.Metric`, ready for `compute`, `add_batch` and `evaluate.combine`.

    Args:
        metric: The definition.
        labels: Names of the classes; classes are numbered as they occur when empty.
    """
    return _module_class()(metric, labels)


@functools.cache
def _module_class() -> Any:
    import datasets
    import evaluate

    types = {
        "int64": datasets.Value("int64"),
        "float64": datasets.Value("float64"),
        "string": datasets.Value("string"),
        "labels": datasets.Sequence(datasets.Value("int64")),
        "probabilities": datasets.Sequence(datasets.Value("float64")),
        "ranking": datasets.Sequence(datasets.Value("string")),
    }

    class DefinedMetric(evaluate.Metric):  # type: ignore[misc]
        """An `evaluate` module of one of the project's metrics."""

        def __init__(self, metric: Metric | RankMetric, labels: Sequence[str]) -> None:
            self._metric = metric
            self._labels = labels
            super().__init__(config_name=metric.name, keep_in_memory=True)

        def _build_data_dir(self) -> str:
            """Name a folder without creating it: results stay in memory, and home folders may be read-only."""
            return str(self._data_dir_root)

        def _info(self) -> Any:
            value = types[self._metric.value_type]
            truth = types[reference_type(self._metric)]
            features = datasets.Features({"predictions": value, "references": truth})
            return evaluate.MetricInfo(
                description=self._metric.title,
                citation="",
                inputs_description="predictions, references",
                features=features,
            )

        def _compute(self, predictions: Sequence[Any], references: Sequence[Any]) -> dict[str, float]:
            labels = self._labels or _numbered(predictions, references)
            return {self._metric.name: figure_of(self._metric, predictions, references, labels)}

    return DefinedMetric


def _numbered(predictions: Sequence[Any], references: Sequence[Any]) -> list[str]:
    """Name the classes up to the largest one seen by their numbers; none for values that are not classes."""
    flat = [v for row in (*predictions, *references) for v in (row if isinstance(row, list | tuple) else (row,))]
    return [str(number) for number in range(max((int(v) for v in flat if not isinstance(v, str)), default=-1) + 1)]
