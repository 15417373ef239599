"""A text that is written token by token."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from toolkit.config.settings import DataConfig
from toolkit.data.bitext.markup import keep_markup
from toolkit.data.tables import columns, empty_values
from toolkit.tasks.task import Checked, Column, Target


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    return empty_values.leave_out(parts, column, empty_values.has_text)


def _finish(
    inputs: Sequence[str],
    predictions: Sequence[str],
    predict: Callable[[list[str]], list[str]],
    options: Mapping[str, Any],
) -> Sequence[str]:
    """Put placeholders and markup back where the model lost them, if the recipe's option `protect` is set."""
    return keep_markup(inputs, predictions, predict) if options.get("protect") else predictions


GENERATED_TEXT = Target(
    name="target_text",
    in_shape=columns.strings,
    answer=lambda prediction, _probabilities, _calibrated, _how: {"prediction": prediction},
    shown=lambda value, _labels: str(value),
    line=lambda _given, columns: str(columns["prediction"]),
    written=True,
    tried_before=True,
    check=_check,
    finish=_finish,
    hub_tasks={"text": "translation"},
)
