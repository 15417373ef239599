"""Comparison of several models on the same examples: differences of metrics, agreement, and disagreements."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.config.settings import EvaluationConfig
from toolkit.data.batching.batch import Integers
from toolkit.errors import DataError
from toolkit.evaluation import scores
from toolkit.evaluation.context import clusters
from toolkit.evaluation.prediction_store import GROUP, StoredPredictions
from toolkit.evaluation.statistics.clusters import count
from toolkit.metrics import Metric, load
from toolkit.tasks.task import Column, Target, Task

DISAGREEMENTS = 20  # examples that a report shows
_KEPT = ("value", "low", "high", "p", "standard_error", "better")  # of a difference
_NEAR = ("string", "float64", "ranking")  # near their reference and seldom the same: only classes are tested for that


@dataclass(frozen=True)
class Aligned:
    """The predictions of several models for the same rows, in one order.

    Attributes:
        names: Of the models.
        rows: Inputs and truth, from the first model's file; and each row's group, where a file has it.
        columns: Predictions of each model, with the classes numbered as `labels` are.
        labels: Names of the classes.
        target: What is predicted.
    """

    names: Sequence[str]
    rows: pa.Table
    columns: Sequence[Mapping[str, Sequence[Any]]]
    labels: Sequence[str]
    target: Target


def align(names: Sequence[str], files: Sequence[StoredPredictions], column: Column) -> Aligned:
    """Bring the rows of several files of predictions into one order.

    Rows are the same when their inputs and references are; files may list them in any order.

    Args:
        names: Of the models, for messages.
        files: Their predictions.
        column: The recipe's target.

    Raises:
        DataError: They were evaluated on different rows, or have different classes; the message names the difference.
    """
    first, labels = files[0], list(files[0].facts["labels"])
    target, rename = column.role, bool(labels)
    keys = [_keys(file, target, file.facts["labels"] if rename else ()) for file in files]
    columns: list[Mapping[str, Sequence[Any]]] = []
    groups: list[Integers] = []
    for name, file, own in zip(names, files, keys, strict=True):
        if file.facts["recipe"] != first.facts["recipe"]:
            raise DataError(
                f"The recipe of {names[0]} is {first.facts['recipe']} and that of {name} is {file.facts['recipe']}.",
                "Compare models of the same task.",
                id="compare.different-tasks",
            )
        if file.facts.get("target") != first.facts.get("target"):
            raise DataError(
                f"The target of {names[0]} is {first.facts.get('target')} and that of {name} is "
                f"{file.facts.get('target')}.",
                "Compare models of the same task.",
                id="compare.different-tasks",
            )
        if rename and set(file.facts["labels"]) != set(labels):
            raise DataError(
                f"{names[0]} and {name} have different classes.\n  {names[0]}: {', '.join(labels)}\n"
                f"  {name}: {', '.join(file.facts['labels'])}",
                "Compare models that were trained with the same classes.",
                id="compare.different-classes",
            )
        if set(own) != set(keys[0]):
            raise _other_rows(names[0], first, keys[0], name, file, own)
        place = {key: position for position, key in enumerate(own)}
        order = [place[key] for key in keys[0]]
        number = [labels.index(label) for label in file.facts["labels"]] if rename else []
        stored = {column: file.table[column].to_pylist() for column in file.facts["columns"]}
        columns.append({c: [_renumber(c, values[row], number) for row in order] for c, values in stored.items()})
        if GROUP in file.table.column_names:
            groups.append(file.table[GROUP].to_numpy()[order])
    # where files name groups by different columns, those of the column with the fewest hold the most rows together
    fewest = min(groups, key=lambda numbers: len(np.unique(numbers)), default=None)
    return Aligned(names, first.grouped(fewest).table, columns, labels, column.kind)


Key = tuple[Any, ...]


def _keys(file: StoredPredictions, target: str, labels: Sequence[str]) -> list[Key]:
    """Identify each row by its inputs, its truth, and the number of identical rows before it."""
    seen: Counter[Key] = Counter()
    keys = []
    for inputs, truth in zip(file.table["_key"].to_pylist(), file.table[target].to_pylist(), strict=True):
        named = _name(truth, labels)
        same = (inputs, tuple(named) if isinstance(named, list) else named)
        keys.append((*same, seen[same]))
        seen[same] += 1
    return keys


def _name(truth: Any, labels: Sequence[str]) -> Any:
    if not labels:
        return truth
    return [labels[number] for number in truth] if isinstance(truth, list) else labels[truth]


def _renumber(column: str, value: Any, number: Sequence[int]) -> Any:
    """Renumber a prediction by the classes of the first file."""
    if not number:
        return value
    if column == "prediction":
        return [_moved(item, number) for item in value] if isinstance(value, list) else _moved(value, number)
    if column == "probabilities" and value is not None:
        ordered = [0.0] * len(number)
        for theirs, chance in enumerate(value):
            ordered[number[theirs]] = chance
        return ordered
    return value


def _moved(value: Any, number: Sequence[int]) -> Any:
    """Give a class another number; other values, such as a mean over classes, stay as they are."""
    return number[value] if isinstance(value, int) else value


def _other_rows(
    name: str, a: StoredPredictions, keys: Sequence[Key], other_name: str, b: StoredPredictions, theirs: Sequence[Key]
) -> DataError:
    """Describe the rows that are in one file and not in the other."""

    def missing(file: StoredPredictions, own: Sequence[Key], others: Sequence[Key]) -> str:
        absent = set(others)
        rows = [position for position, key in enumerate(own) if key not in absent]
        if not rows:
            return "0"
        place = file.table.slice(rows[0], 1).to_pylist()[0]
        return f"{len(rows):,} (first: {place.get('_file')}, row {place.get('_row')})"

    relabelled = len({key[0] for key in keys} ^ {key[0] for key in theirs}) == 0
    hint = " The texts are the same, but some labels differ." if relabelled else ""
    return DataError(
        f"{name} and {other_name} were evaluated on different rows: {len(keys):,} and {len(theirs):,}. "
        f"Only in {name}: {missing(a, keys, theirs)}. Only in {other_name}: {missing(b, theirs, keys)}.{hint}",
        "Evaluate them on the same data first: `toolkit evaluate MODEL --data DATA` for each.",
        id="compare.different-rows",
    )


def compare(
    aligned: Aligned,
    references: Sequence[Any],
    metrics: Sequence[Any],
    config: EvaluationConfig,
    seed: int,
    task: Task,
) -> dict[str, Any]:
    """Return the report's section on several models.

    The intervals of the differences hold jointly: with P pairs each has the confidence 1 - (1 - confidence) / P
    (Bonferroni), and the p-value of the first metric is multiplied by P, so that it is below 1 - confidence exactly
    where the interval excludes 0. Rows of one group are resampled, and their signs flipped, together.

    Args:
        aligned: The predictions of the models, row by row.
        references: The truth.
        metrics: The recipe's.
        config: Confidence and resamples.
        seed: Of the bootstrap.
        task: The recipe's; says how rows are shown, and which predictions are the same.
    """
    definitions = [definition for _, definition in map(load, metrics) if definition is not None]
    combined = list(combinations(range(len(aligned.names)), 2))
    confidence = 1 - (1 - config.confidence) / len(combined)
    joint = config.model_copy(update={"confidence": confidence})
    depending = clusters(task, aligned.rows, GROUP)
    first = definitions[0] if definitions else None
    by = first if isinstance(first, Metric) and first.value_type in _NEAR else None
    pairs = []
    for i, j in combined:
        our_columns, their_columns = aligned.columns[i], aligned.columns[j]
        computable = [
            d
            for _, d in scores.computable(
                {c: our_columns[c] for c in our_columns if c in their_columns}, definitions, aligned.labels
            )
        ]
        differences = []
        for definition in computable:
            if definition is None:
                continue
            ahead = scores.difference(
                definition, our_columns, their_columns, references, aligned.labels, joint, seed, depending
            )
            if not math.isnan(ahead["value"]):  # such as an area under a curve where only one class occurs
                named = {"name": definition.name, "title": definition.title, "unit": definition.unit}
                figures = {key: ahead[key] for key in _KEPT if key in ahead}
                differences.append(named | figures)
        p = differences[0]["p"] if differences else None
        p = min(1.0, len(combined) * p) if p is not None else None
        pair = {"one": aligned.names[i], "other": aligned.names[j], "p": p, "confidence": confidence}
        pairs.append(
            {
                **pair,
                **_agreement(our_columns, their_columns, references, task.target.kind, counted=by is None),
                "differences": differences,
            }
        )
    rows, disagreeing = _disagreements(aligned, references, task, by)
    return {
        "rows": len(references),
        **({} if depending is None else {"groups": count(depending)}),
        "confidence": config.confidence,
        "models": [
            {
                "name": name,
                "metrics": scores.score(columns, references, metrics, aligned.labels, config, seed, depending),
            }
            for name, columns in zip(aligned.names, aligned.columns, strict=True)
        ],
        "pairs": pairs,
        "disagreements": rows,
        "disagreeing": None if task.target.kind.standardized else disagreeing,
        "parted_by": by.title if by is not None else None,
    }


def _agreement(
    first: Mapping[str, Sequence[Any]],
    second: Mapping[str, Sequence[Any]],
    references: Sequence[Any],
    target: Target,
    *,
    counted: bool,
) -> dict[str, Any]:
    """Count the rows on which two models agree, and if `counted` which of them is correct where they differ."""
    if target.standardized:  # numbers are seldom the same
        return {"agreement": None}
    rows = list(zip(first["prediction"], second["prediction"], references, strict=True))
    agreement = sum(target.same(a, b) for a, b, _ in rows) / len(rows)
    if not counted:
        return {"agreement": agreement}
    right = Counter((a == truth, b == truth) for a, b, truth in rows)
    return {
        "agreement": agreement,
        "both_right": right[True, True],
        "only_one": right[True, False],
        "only_other": right[False, True],
        "both_wrong": right[False, False],
    }


def _disagreements(
    aligned: Aligned, references: Sequence[Any], task: Task, by: Metric | None
) -> tuple[list[dict[str, Any]], int]:
    """Return the clearest disagreements, by confidence or by a metric, and the number of disagreements.

    Without either they are the first in the order of the rows.
    """
    predictions = [columns["prediction"] for columns in aligned.columns]
    target: Target = task.target.kind
    parted = [
        row
        for row, answers in enumerate(zip(*predictions, strict=True))
        if not all(target.same(answer, answers[0]) for answer in answers)
    ]
    if not parted:
        return [], 0
    if by is None:
        sure = np.array([[_confidence(task, columns, row) or 0.0 for columns in aligned.columns] for row in parted])
        apart = sure.min(axis=1)
    else:
        true = [references[row] for row in parted]
        each = [
            by.aggregate(by.statistics([answers[row] for row in parted], true, aligned.labels))
            for answers in predictions
        ]
        apart = np.ptp(np.stack(each), axis=0)
    chosen = [parted[i] for i in np.argsort(-apart, kind="stable")[:DISAGREEMENTS]]
    rows = []
    for position, row in zip(chosen, aligned.rows.take(pa.array(chosen, pa.int64())).to_pylist(), strict=True):
        rows.append(
            {
                "file": row.get("_file"),
                "row": row.get("_row"),
                "text": scores.shown_text(row, task.inputs),
                "label": target.shown(references[position], aligned.labels),
                "answers": [
                    {
                        "model": name,
                        "prediction": target.shown(columns["prediction"][position], aligned.labels),
                        "confidence": _confidence(task, columns, position),
                    }
                    for name, columns in zip(aligned.names, aligned.columns, strict=True)
                ],
            }
        )
    return rows, len(parted)


def _confidence(task: Task, columns: Mapping[str, Sequence[Any]], row: int) -> float | None:
    """Return the probability of the most probable class; None unless a row has exactly one class."""
    if task.stratum is None or "probabilities" not in columns:
        return None
    return float(max(columns["probabilities"][row]))
