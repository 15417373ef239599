"""What is said in a recording: characters, decoded from a probability of each in every frame."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data.tables import columns, empty_values
from toolkit.evaluation.transcripts import section
from toolkit.tasks.task import Checked, Column, Target
from toolkit.training.loss.objective import Objective, count_rows


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    return empty_values.leave_out(parts, column, empty_values.has_text)


def _summary(column: pa.ChunkedArray, _labels: Sequence[str]) -> dict[str, str]:
    words = pc.sum(pc.list_value_length(pc.utf8_split_whitespace(column))).as_py() or 0
    return {"transcripts": f"{words:,} words, {len(pc.unique(column)):,} different transcripts"}


def _objective(_config: Any, _labels: Sequence[str], _of_train: Any) -> Objective:
    """Return the model's CTC loss: a mean over recordings, each divided by the characters of its transcript."""
    return Objective("CTC loss", count_rows, lambda outputs, _batch: outputs.loss)


TRANSCRIPT = Target(
    name="transcript",
    title="a transcript for each recording",
    in_shape=columns.strings,
    answer=lambda prediction, _probabilities, _calibrated, _how: {"prediction": prediction},
    shown=lambda value, _labels: str(value),
    line=lambda given, written: f"{written['prediction']}  {given}",
    summary=_summary,
    check=_check,
    overview=section,
    objective=_objective,
    loss_of_rows=True,
    tried_before=True,
    loss_keys=(),
    hub_tasks={"audio": "automatic-speech-recognition"},
)
