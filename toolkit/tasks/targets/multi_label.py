"""Any number of classes for each row, also none: the tags of a ticket, the findings in a picture."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config import normal_form
from toolkit.data.formats import cells
from toolkit.data.tables import columns as columns_
from toolkit.data.targets import iterative_split
from toolkit.evaluation import class_thresholds
from toolkit.evaluation.baselines import frequent_classes, one_against_rest_pixels, one_against_rest_tfidf
from toolkit.evaluation.overviews import several_classes
from toolkit.evaluation.selection import uncertainty
from toolkit.evaluation.statistics.clusters import Integers
from toolkit.explanation.question import Outcome
from toolkit.tasks.shown_labels import class_number, counted
from toolkit.tasks.task import AnswerFormat, LabelColumn, Target
from toolkit.training.adaptation import probe_kinds
from toolkit.training.loss.objective import Batch, Objective, class_weights

SEPARATORS = "|;"
HALF = 0.5


def _in_shape(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column as lists of labels: lists, JSON lists in cells, or cells with `|`, `;` or `,` between labels.

    An empty cell is a row without any class; null is a row without a label. A comma separates only where the labels
    of the column look like several ones.
    """
    values = table[name]
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        rows = [None if row is None else _written(row) for row in values.to_pylist()]
    else:
        written = [None if value is None else str(value) for value in values.to_pylist()]
        signs = separators({value for value in written if value is not None})
        rows = [None if value is None else _written(_cut(value, signs)) for value in written]
    return pa.chunked_array([pa.array(rows, pa.list_(pa.string()))])


def separators(labels: set[str]) -> str:
    """Return the signs between labels in the cells of a column."""
    used = "".join(sign for sign in SEPARATORS if any(sign in label for label in labels))
    return used or (cells.separator(labels) or "")


def _cut(cell: str, signs: str) -> list[str]:
    listed = cells.items(cell, bare=True)
    if listed is not None:
        return listed
    pieces = [cell]
    for sign in signs:
        pieces = [part for piece in pieces for part in piece.split(sign)]
    return pieces


def _written(labels: Sequence[Any]) -> list[str]:
    named = (normal_form.label(label) for label in labels if label is not None)
    return list(dict.fromkeys(label for label in named if label))


def _recognizes(column: LabelColumn) -> str:
    """Recognise lists, and cells that hold several labels with `|` or `;` between them, or a list."""
    if columns_.is_list(column.values.type):
        several = pc.any(pc.not_equal(pc.list_value_length(column.values), 1)).as_py()
        return f"`{column.name}` holds lists of labels" if several else ""
    sign = cells.separator(column.different)
    if sign is not None and sign in SEPARATORS:
        example = next(label for label in column.different if sign in label)
        return f"`{column.name}` holds several labels in a cell, such as `{example[:40]}`"
    listed = bool(column.different) and all(label.startswith("[") for label in column.different)
    several = listed and any(_items(label) != 1 for label in column.different)
    return f"`{column.name}` holds lists in its cells" if several else ""


def _items(cell: str) -> int:
    """Return the number of items of a list in a cell; 1 where it holds no complete list."""
    try:
        listed = cells.items(cell, bare=True)
    except cells.BrokenListError:
        return 1
    return 1 if listed is None else len(listed)


def _predictions(outputs: Any, _batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Logits (B, C) → the classes whose probability is at least one half, and the probability of each."""
    scores = outputs.logits.double().sigmoid().cpu().numpy()
    halves = [HALF] * scores.shape[1]
    return {"prediction": class_thresholds.predicted_classes(scores, halves), "probabilities": scores.tolist()}


def _decide(columns: Mapping[str, Sequence[Any]], stored: Mapping[str, Any]) -> Mapping[str, Sequence[Any]]:
    """Predict the classes whose probability reaches the threshold that is stored for them."""
    thresholds = stored.get("thresholds")
    if not thresholds or "probabilities" not in columns:
        return columns
    return {**columns, "prediction": class_thresholds.predicted_classes(columns["probabilities"], thresholds)}


def _calibrate(
    columns: Mapping[str, Sequence[Any]],
    references: Sequence[Sequence[int]],
    labels: Sequence[str],
    settings: Any,
    _seed: int,
    clusters: Integers | None = None,
) -> dict[str, Any]:
    """Choose a threshold for each class on validation rows."""
    chosen = class_thresholds.choose(columns["probabilities"], references, clusters, settings.confidence)
    return {"thresholds": [float(value) for value in chosen], "rows": len(references), "classes": list(labels)}


def _chosen(values: Any, stored: Mapping[str, Any]) -> list[int]:
    """Return the predicted classes of a row, the most probable first."""
    thresholds = stored.get("thresholds") or [HALF] * len(values)
    (predicted,) = class_thresholds.predicted_classes([values], thresholds)
    return sorted(predicted, key=lambda number: -values[number])


def _model_labels(values: Sequence[Sequence[int]], labels: Sequence[str]) -> Any:
    """Return 1 for each class that a row has, and 0 for the others. Shape (N, C)."""
    matrix = np.zeros((len(values), len(labels)), np.float32)
    for row, numbers in enumerate(values):
        matrix[row, list(numbers)] = 1.0
    return matrix


def _objective(config: Any, labels: Sequence[str], of_train: Any) -> Objective:
    """Return the mean binary cross entropy over rows and classes; weights multiply the loss of rows with the class."""
    import torch

    truth = np.asarray(of_train)
    weights = None
    if config.class_weights == "balanced":
        positives = truth.sum(axis=0)
        weights = np.where(positives > 0, (len(truth) - positives) / np.maximum(positives, 1), 1.0)
    elif config.class_weights:
        weights = np.asarray(class_weights(config.class_weights, labels, np.zeros(0, np.int64)))
    factor = None if weights is None else torch.tensor(weights, dtype=torch.float32)

    def mean(outputs: Any, batch: Batch) -> Any:
        logits = outputs.logits.float()
        return torch.nn.functional.binary_cross_entropy_with_logits(
            logits,
            batch["labels"].to(logits.device),
            pos_weight=None if factor is None else factor.to(logits.device),
        )

    name = "binary cross entropy of each class"
    return Objective(f"{name}, weighted by class" if weights is not None else name, lambda b: len(b["labels"]), mean)


def _answer(prediction: Sequence[int], scores: Any, _calibrated: Any, how: AnswerFormat) -> dict[str, Any]:
    """Return the names of the classes, their scores in the same order, and all scores where they are wanted."""
    columns: dict[str, Any] = {"prediction": [how.labels[number] for number in prediction]}
    if scores is None:
        return {**columns, "scores": None}
    columns["scores"] = [round(float(scores[number]), 6) for number in prediction]
    return columns | how.each_score(scores)


def _empty(how: AnswerFormat) -> dict[str, None]:
    return dict.fromkeys(["prediction", "scores", *how.score_columns])


def _line(given: Any, columns: Mapping[str, Any]) -> str:
    names, scores = columns["prediction"], columns.get("scores") or []
    shown = ", ".join(f"{name} {100 * score:.1f} %" for name, score in zip(names, scores, strict=False))
    return f"{shown or ', '.join(names) or '(none)'}  {given}"


def _shown(value: Any, labels: Sequence[str]) -> str:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return str(value)
    return ", ".join(labels[number] if labels else str(number) for number in value) or "(none)"


def _cell(value: Sequence[int], labels: Sequence[str]) -> str:
    """Return classes with `|` between them, or a JSON list where that is ambiguous: `[]` is none."""
    names = [labels[number] for number in value]
    plain = bool(names) and not any(set(name) & set("|[]") or name != name.strip() for name in names)
    return "|".join(names) if plain else json.dumps(names, ensure_ascii=False)


def _of_cell(text: str, labels: Sequence[str]) -> list[int]:
    try:
        listed = cells.items(text, bare=True)
    except cells.BrokenListError as error:
        raise ValueError(str(error)) from None
    names = text.split("|") if listed is None else listed
    return sorted({class_number(name.strip() if listed is None else name, labels) for name in names})


def _summary(column: pa.ChunkedArray, labels: Sequence[str]) -> dict[str, str]:
    lengths = pc.list_value_length(column).drop_null().to_numpy()
    many = f"{lengths.mean():.2f} on average, {int((lengths == 0).sum()):,} rows without" if len(lengths) else "none"
    return {"classes": counted(column, labels, of=len(column)), "classes per row": many}


def _usage(given: str, labels: Sequence[str], stored: Mapping[str, Any]) -> str:
    thresholds = dict(zip(labels, class_thresholds.stored_thresholds(stored, labels), strict=True))
    return (
        f"thresholds = {json.dumps(thresholds, ensure_ascii=False)}\n"
        f"rows = predict({given}, top_k=len(thresholds))\n"
        'print([row["label"] for row in rows if row["score"] >= thresholds[row["label"]]])'
    )


MULTI_LABEL = Target(
    name="multi_label",
    title="any number of classes for each row",
    in_shape=_in_shape,
    answer=_answer,
    empty=_empty,
    line=_line,
    shown=_shown,
    cell=_cell,
    of_cell=_of_cell,
    same=lambda ours, theirs: list(ours) == list(theirs),
    summary=_summary,
    classes=True,
    recognizes=_recognizes,
    from_binary_columns=True,
    predictions=_predictions,
    metrics=(
        *("micro_f1", "macro_f1", "samples_f1", "exact_match"),
        *("mean_average_precision", "ranking_loss"),
    ),
    best_metric="micro_f1",
    baselines={
        "text": {
            "Most frequent classes": frequent_classes,
            "TF-IDF + logistic regression for each class": one_against_rest_tfidf,
        },
        "image": {
            "Most frequent classes": frequent_classes,
            "Logistic regression on small pixels for each class": one_against_rest_pixels,
        },
    },
    constant=("Most frequent classes of these rows", frequent_classes),
    model_arguments={"problem_type": "multi_label_classification"},
    model_labels=_model_labels,
    objective=_objective,
    outcome=Outcome(
        values=lambda logits: logits.sigmoid(), score=lambda logits, number: logits[:, number], chosen=_chosen
    ),
    probe=probe_kinds.SEVERAL_CLASSES,
    uncertainty=uncertainty.entropy,
    loss_keys=("class_weights",),
    calibrate=_calibrate,
    overview=several_classes.sections,
    usage=_usage,
    decide=_decide,
    decision="classes",
    divide=iterative_split.split,
    hub_tasks={"text": "text-classification", "image": "image-classification"},
)
