"""One class for each word of a row; labels of the scheme IOB mark entities, which are spans of words."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config.settings import DataConfig
from toolkit.data.tables import columns
from toolkit.errors import DataError
from toolkit.evaluation import entities
from toolkit.evaluation.statistics import clusters as clusters_
from toolkit.evaluation.statistics.temperature import fitted
from toolkit.tasks import spans
from toolkit.tasks.shown_labels import class_number, counted
from toolkit.tasks.task import AnswerFormat, Checked, Column, Target, Task


def _answer(prediction: Any, probabilities: Any, calibrated: Any, how: AnswerFormat) -> dict[str, Any]:
    """Return the label of each word, and the entities with their places in the text."""
    labels = [None if number is None else how.labels[number] for number in prediction]
    if how.located is None:
        return {"prediction": labels, "entities": []}
    text, places = how.located
    found = []
    for span in spans.spans_of(entities.named(prediction, how.labels)):
        start, end = places[span.start][0], places[span.end - 1][1]
        entity: dict[str, Any] = {"start": start, "end": end, "text": text[start:end], "type": span.type}
        for name, scores in (("score", probabilities), ("calibrated_score", calibrated)):
            sure = None if scores is None else entities.confidence(prediction, scores, span)
            if sure is not None:
                entity[name] = round(sure, 6)
        found.append(entity)
    return {"prediction": labels, "entities": found}


def _shown(value: Any, labels: Sequence[str]) -> str:
    if not labels or not isinstance(value, list):
        return str(value)
    return " ".join("–" if number is None else labels[number] for number in value)


def _of_cell(text: str, labels: Sequence[str]) -> list[int]:
    return [class_number(label, labels) for label in text.split()]


def _check(parts: Mapping[str, pa.Table], column: Column, _config: DataConfig) -> Checked:
    """Rewrite labels of the schemes IOB1, BIOES and BILOU, and entities that begin with I-, in the scheme IOB2."""
    written = {part: rows[column.role] for part, rows in parts.items() if column.role in rows.column_names}
    if not all(
        pa.types.is_list(labels.type) and pa.types.is_string(labels.type.value_type) for labels in written.values()
    ):
        return Checked(parts)
    present = {label for labels in written.values() for label in pc.unique(pc.list_flatten(labels)).to_pylist()}
    if not spans.is_scheme([label for label in present if label is not None]):
        return Checked(parts)
    converted, changes, first = dict(parts), dict.fromkeys("IESLU", 0), ""
    for part, labels in written.items():
        sentences = labels.to_pylist()
        fixed = [None if row is None else spans.in_iob2([label or "" for label in row]) for row in sentences]
        for number, (before, after) in enumerate(zip(sentences, fixed, strict=True)):
            for old, new in zip(before or (), after or (), strict=True):
                if old and old != new:
                    changes[old[0]] += 1
                    first = first or columns.place(parts[part], number)
        place = parts[part].column_names.index(column.role)
        converted[part] = parts[part].set_column(place, column.role, pa.array(fixed, labels.type))
    return Checked(converted, notes=_notes(changes, first))


def _notes(changes: Mapping[str, int], first: str) -> list[str]:
    """Say how many labels were rewritten, and where the first of them is."""
    marked = {prefix: count for prefix, count in changes.items() if prefix != "I" and count}
    listed = ", ".join(f"{count:,} {prefix}-" for prefix, count in marked.items())
    scheme = "BILOU" if "L" in marked or "U" in marked else "BIOES"
    notes = [f"Labels of the scheme {scheme} were rewritten as B- and I- ({listed}; first: {first})."] if marked else []
    if changes["I"]:
        labels = "1 label I- continues" if changes["I"] == 1 else f"{changes['I']:,} labels I- continue"
        notes.append(
            f"{labels} no entity of the same type, and begin{'s' * (changes['I'] == 1)} one: read as B- "
            f"(first: {first})."
        )
    return notes


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
    """Return the entities and the text; where there are none, each word with its label."""
    labels, found = columns["prediction"], columns.get("entities")
    if found:
        parts = (f"{entity['type']} “{entity['text']}”{_percent(entity)}" for entity in found)
        return f"{', '.join(parts)}  {given if isinstance(given, str) else ' '.join(map(str, given))}"
    words = given.split() if isinstance(given, str) else list(given)
    if not labels or set(labels) <= {spans.OUTSIDE, None}:
        return f"(none)  {given}"
    pairs = zip(words, labels, strict=True) if len(words) == len(labels) else ((label, "") for label in labels)
    return "  ".join(f"{word}/{label}" if label else str(word) for word, label in pairs)


def _percent(entity: Mapping[str, Any]) -> str:
    score = entity.get("calibrated_score", entity.get("score"))
    return "" if score is None else f" {100 * score:.1f} %"


def _calibrate(
    columns: Mapping[str, Sequence[Any]],
    references: Sequence[Any],
    _labels: Sequence[str],
    settings: Any,
    seed: int,
    clusters: clusters_.Integers | None = None,
) -> dict[str, Any]:
    """Fit a temperature to the words of validation rows, each sentence, or each cluster, taken as one observation."""
    words = entities.read_words(columns, references)
    if words is None:
        return {}
    together = words.sentences if clusters is None else clusters_.kept(clusters, words.sentences)
    return fitted(words.probabilities, words.labels, settings.confidence, seed, "validation", together)


TOKEN_LABELS = Target(
    name="labels",
    title="a class for each word",
    in_shape=columns.label_lists,
    check=_check,
    answer=_answer,
    empty=lambda _how: {"prediction": None, "entities": None},
    shown=_shown,
    of_cell=_of_cell,
    classes=True,
    exclusive=True,
    kept=_kept,
    line=_line,
    summary=lambda column, labels: {"classes": counted(column, labels, of=len(pc.list_flatten(column)))},
    aligned=_aligned,
    overview=entities.overview,
    calibrate=_calibrate,
    hub_tasks={"text": "token-classification"},
)
