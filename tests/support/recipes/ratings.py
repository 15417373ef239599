"""Predict ratings from 1 to 5, which are ordered: the expected value of five classes, judged by its distance.

The labels are numbers; predictions lie between them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import models
from toolkit.config import RunConfig
from toolkit.data.tables import columns
from toolkit.metrics import Metric
from toolkit.tasks.contract import Rows
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.task import AnswerFormat, Column, Target

DEFAULTS: dict[str, Any] = {
    "model": "distilbert",
    "data": {"source": "ratings.csv"},
    "training": {"best_metric": "mae"},
}


def _answer(prediction: Any, scores: Any, calibrated: Any, how: AnswerFormat) -> dict[str, Any]:
    answer = {"prediction": round(float(prediction), 3)}
    if scores is not None:
        answer["nearest"] = how.labels[int(np.argmax(scores))]
        if how.all_scores:
            answer |= {f"score: {name}": round(float(s), 4) for name, s in zip(how.labels, scores, strict=True)}
    return answer


def _empty(how: AnswerFormat) -> dict[str, None]:
    return dict.fromkeys(["prediction", "nearest", *(f"score: {n}" for n in how.labels if how.all_scores)])


_RATING = Target(
    name="rating",
    in_shape=columns.single_labels,
    answer=_answer,
    empty=_empty,
    shown=lambda value, labels: labels[value] if isinstance(value, int) else f"{value:.2f}",
    same=lambda one, other: abs(one - other) < 1e-3,
    classes=True,
    single=True,
    exclusive=True,
    of_class=lambda number, names: float(names[number]),
)
COLUMNS = (Column("text", ("text",), TEXT), Column("rating", ("rating", "stars"), _RATING))


def _mae(predicted: Sequence[float], true: Sequence[int], names: Sequence[str]) -> Any:
    values = np.array([float(names[n]) for n in true])
    return np.stack([np.abs(np.asarray(predicted) - values), np.ones(len(true))], axis=1)


def _within(predicted: Sequence[float], true: Sequence[int], names: Sequence[str]) -> Any:
    values = np.array([float(names[n]) for n in true])
    return np.stack([np.abs(np.asarray(predicted) - values) <= 1, np.ones(len(true))], axis=1).astype(float)


def _mean(sums: Any) -> Any:
    return sums[..., 0] / sums[..., 1]


METRICS = (
    Metric(
        "mae",
        "Mean absolute error",
        _mae,
        _mean,
        value_type="float64",
        reference_type="int64",
        unit="score",
        higher_is_better=False,
    ),
    Metric("within_one", "Within one", _within, _mean, value_type="float64", reference_type="int64"),
)


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's tokenizer."""
    return models.load_tokenizer(path, config.loading)


def preprocess(rows: Rows, processor: Any, config: RunConfig) -> dict[str, Any]:
    """Tokenize texts."""
    encoded = processor(
        list(rows["text"]), truncation=True, max_length=config.data.max_length, return_token_type_ids=False
    )
    features = {"input_ids": encoded["input_ids"]}
    return {**features, "labels": list(rows["rating"])} if "rating" in rows else features


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint with an output for each rating."""
    from transformers import AutoModelForSequenceClassification

    return models.load(
        AutoModelForSequenceClassification,
        path,
        labels,
        config.loading,
        config.training,
        problem_type="single_label_classification",
        **arguments,
    )


def predictions(outputs: Any, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Logits (B, C) → the expected rating, and the probability of each."""
    scores = outputs.logits.double().softmax(dim=-1).cpu().numpy()
    values = np.arange(1, scores.shape[1] + 1)
    return {"prediction": (scores @ values).tolist(), "probabilities": scores.tolist()}
