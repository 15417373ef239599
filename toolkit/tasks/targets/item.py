"""The next item: all items are ranked, and the first ones are predicted."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data.tables import columns, empty_values
from toolkit.evaluation.recommendations import section
from toolkit.tasks.task import AnswerFormat, Checked, Column, Target

_SHOWN = 3  # items of a ranking that pages show


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    return empty_values.leave_out(parts, column, empty_values.has_text)


def _answer(prediction: Sequence[str], probabilities: Any, _calibrated: Any, _how: AnswerFormat) -> dict[str, Any]:
    """Return the first items with their scores, which are probabilities among the items that are ranked."""
    scores = [] if probabilities is None else [round(float(p), 6) for p in probabilities[: len(prediction)]]
    return {"prediction": list(prediction), "scores": scores}


def _line(given: Any, written: Mapping[str, Any]) -> str:
    """Return the items with their scores, and the history."""
    items, scores = written["prediction"], written.get("scores")
    if not items:
        return f"(none)  {given}"
    scored = [f"{item} {100 * s:.1f} %" for item, s in zip(items, scores, strict=True)] if scores else items
    return f"{', '.join(scored)}  after {' | '.join(map(str, given)) if isinstance(given, list) else given}"


def _shown(value: Any, _labels: Sequence[str]) -> str:
    return ", ".join(value[:_SHOWN]) if isinstance(value, list | tuple) else str(value)


def _finish(
    _inputs: Sequence[Any],
    predictions: Sequence[Any],
    _predict: Callable[[list[Any]], list[Any]],
    options: Mapping[str, Any],
) -> Sequence[Any]:
    """Keep as many items as the recipe's option `top` says."""
    return [ranking[: options.get("top") or len(ranking)] for ranking in predictions]


def _same(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two rankings have the same first item: rounding swaps items that are nearly as probable."""
    return list(one[:1]) == list(other[:1])


def _summary(column: pa.ChunkedArray, _labels: Sequence[str]) -> dict[str, str]:
    return {"items": f"{len(pc.unique(column)):,} different ones"}


ITEM = Target(
    name="item",
    in_shape=columns.single_labels,
    answer=_answer,
    shown=_shown,
    same=_same,
    check=_check,
    empty=lambda _how: {"prediction": None, "scores": None},
    line=_line,
    summary=_summary,
    overview=section,
    finish=_finish,
)
