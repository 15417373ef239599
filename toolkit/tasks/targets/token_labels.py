"""One class for each word of a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.tables import columns
from toolkit.errors import DataError
from toolkit.tasks.shown_labels import counted
from toolkit.tasks.task import AnswerFormat, Column, Target, Task


def _answer(prediction: Any, _probabilities: Any, _calibrated: Any, how: AnswerFormat) -> dict[str, Any]:
    return {"prediction": [None if number is None else how.labels[number] for number in prediction]}


def _shown(value: Any, labels: Sequence[str]) -> str:
    if not labels or not isinstance(value, list):
        return str(value)
    return " ".join("–" if number is None else labels[number] for number in value)


def _aligned(parts: Mapping[str, pa.Table], recipe_columns: Sequence[Column]) -> None:
    """Refuse rows without exactly one label for each word.

    Raises:
        DataError: With the row.
    """
    task = Task(tuple(recipe_columns))
    words = next((column.role for column in task.inputs if pa.types.is_list(column.kind.type)), None)
    if words is None:
        return
    labels = task.target.role
    for rows in parts.values():
        uneven = pc.not_equal(pc.list_value_length(rows[words]), pc.list_value_length(rows[labels]))
        if pc.any(uneven).as_py():
            row = rows.filter(uneven).slice(0, 1).to_pylist()[0]
            raise DataError(
                f"{row['_file']}, row {row['_row']}: {len(row[words])} words but {len(row[labels])} labels.",
                "Give one label for each word.",
                id="label.wrong-count",
            )


def _kept(numbers: Sequence[int | None]) -> list[int] | None:
    """Leave out a row with a word that has no label: each label belongs to a word."""
    kept = [number for number in numbers if number is not None]
    return kept if len(kept) == len(numbers) else None


def _line(given: Any, columns: Mapping[str, Any]) -> str:
    """Return each word with its label, or the labels alone where the words are not known."""
    labels = columns["prediction"]
    words = given.split() if isinstance(given, str) else list(given)
    if not labels:
        return f"(none)  {given}"
    pairs = zip(words, labels, strict=True) if len(words) == len(labels) else ((label, "") for label in labels)
    return "  ".join(f"{word}/{label}" if label else str(word) for word, label in pairs)


TOKEN_LABELS = Target(
    name="labels",
    in_shape=columns.label_lists,
    answer=_answer,
    shown=_shown,
    classes=True,
    exclusive=True,
    kept=_kept,
    line=_line,
    summary=lambda column, labels: {"classes": counted(column, labels, of=len(pc.list_flatten(column)))},
    aligned=_aligned,
    hub_tasks={"text": "token-classification"},
)
