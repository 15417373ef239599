"""Find all topics of a text: several classes in a row, with a target of the recipe's own.

`topics` is a list of names, or a cell with semicolons between them; it may be empty.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import models
from toolkit.config import RunConfig
from toolkit.metrics import Metric
from toolkit.tasks.contract import Rows
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.task import AnswerFormat, Column, Target

DEFAULTS: dict[str, Any] = {"model": "distilbert", "data": {"source": "topics.csv"}, "training": {"best_metric": "f1"}}


def _lists(table: pa.Table, name: str) -> pa.ChunkedArray:
    cells = (value if isinstance(value, list) else (value or "").split(";") for value in table[name].to_pylist())
    rows = [[label.strip() for label in cell if label.strip()] for cell in cells]
    return pa.chunked_array([pa.array(rows, pa.list_(pa.string()))])


def _answer(prediction: Sequence[int], scores: Any, _calibrated: Any, how: AnswerFormat) -> dict[str, Any]:
    each = {f"score: {name}": round(float(score), 4) for name, score in zip(how.labels, scores, strict=True)}
    return {"prediction": [how.labels[n] for n in prediction], "count": len(prediction)} | (
        each if how.all_scores else {}
    )


def _empty(how: AnswerFormat) -> dict[str, None]:
    return dict.fromkeys(["prediction", "count", *(f"score: {name}" for name in how.labels if how.all_scores)])


_TOPICS = Target(
    name="topics",
    in_shape=_lists,
    answer=_answer,
    empty=_empty,
    shown=lambda value, labels: ", ".join(labels[number] for number in value),
    classes=True,
)

COLUMNS = (Column("text", ("text",), TEXT), Column("topics", ("topics",), _TOPICS))


def _counts(predicted: Sequence[list[int]], true: Sequence[list[int]], _names: Sequence[str]) -> Any:
    pairs = [(set(ours), set(theirs)) for ours, theirs in zip(predicted, true, strict=True)]
    return np.array([[len(ours & theirs), len(ours) + len(theirs)] for ours, theirs in pairs], np.float64)


METRICS = (
    Metric("f1", "Micro F1", _counts, lambda sums: 2 * sums[..., 0] / np.maximum(sums[..., 1], 1), value_type="labels"),
)


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's tokenizer."""
    return models.load_tokenizer(path, config.loading)


def preprocess(rows: Rows, processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Tokenize texts; labels are 1 for each class that a row has, and 0 for the others."""
    encoded = processor(
        list(rows["text"]), truncation=True, max_length=config.data.max_length, return_token_type_ids=False
    )
    features = {"input_ids": encoded["input_ids"]}
    if "topics" in rows:
        features["labels"] = [
            [float(number in topics) for number in range(len(rows.classes))] for topics in rows["topics"]
        ]
    return features


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint with an output for each of `labels`."""
    from transformers import AutoModelForSequenceClassification

    arguments["problem_type"] = "multi_label_classification"
    return models.load(AutoModelForSequenceClassification, path, labels, config.loading, config.training, **arguments)


def predictions(outputs: Any, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Logits (B, C) → the classes above one half, and the probability of each."""
    scores = outputs.logits.double().sigmoid().cpu().numpy()
    return {"prediction": [np.flatnonzero(row > 0.5).tolist() for row in scores], "probabilities": scores.tolist()}
