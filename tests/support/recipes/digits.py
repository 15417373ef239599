"""Predict the mean of a row of digits: an input and a target that the toolkit does not have, in one file.

`digits` is a column of digits ("3 1 4" or 314), and `mean` a number from 0 to 9.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit import models
from toolkit.config import RunConfig
from toolkit.data.tables import empty_values
from toolkit.metrics import Metric
from toolkit.tasks.task import Checked, Column, Input, Reading, Target, Values

DEFAULTS: dict[str, Any] = {
    "model": "distilbert",
    "data": {"source": "digits.csv"},
    "training": {"best_metric": "absolute_error"},
    "evaluation": {"checks": ["cost"]},
}


def _digits(value: Any) -> list[int] | None:
    results = [int(sign) for sign in str(value) if sign.isdigit()]
    return results or None


def _in_shape(table: pa.Table, name: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(map(_digits, table[name].to_pylist()), pa.list_(pa.int64()))])


def _check(parts: Mapping[str, pa.Table], column: Column, _config: Any) -> Checked:
    return empty_values.leave_out(parts, column, empty_values.has_items)


def _read(values: Sequence[Any], name: str, _reading: Reading) -> Values:
    column = pa.array([_digits(value) for value in values], pa.list_(pa.int64()))
    return Values(column, [None if _digits(value) else f"`{name}` has no digit" for value in values], values)


_DIGITS = Input(
    name="digits",
    nouns=("row of digits", "rows of digits"),
    modality="digits",
    type=pa.list_(pa.int64()),
    in_shape=_in_shape,
    check=_check,
    read=_read,
    length=len,
    length_unit="digits",
    json=lambda _most: list[int],
    about="Digits from 0 to 9",
)


def _numbers(table: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.cast(table[name], pa.float64())


_NUMBER = Target(
    name="number",
    in_shape=_numbers,
    answer=lambda prediction, _scores, _calibrated, _how: {"prediction": round(float(prediction), 3)},
    empty=lambda _how: {"prediction": None},
    shown=lambda value, _labels: f"{value:.2f}",
    same=lambda one, other: abs(one - other) < 1e-3,
)

COLUMNS = (Column("digits", ("digits",), _DIGITS), Column("mean", ("mean",), _NUMBER))


def _absolute_error(predicted: Sequence[float], true: Sequence[float], _names: Sequence[str]) -> Any:
    return np.stack([np.abs(np.asarray(predicted) - np.asarray(true)), np.ones(len(true))], axis=1)


METRICS = (
    Metric(
        "absolute_error",
        "Mean absolute error",
        _absolute_error,
        lambda sums: sums[..., 0] / sums[..., 1],
        value_type="float64",
        unit="score",
        higher_is_better=False,
    ),
)


def _middle(train: pa.Table, test: pa.Table, _labels: Sequence[str]) -> list[float]:
    return [float(np.median(train["mean"].to_numpy()))] * test.num_rows


BASELINES = {"Median": _middle}


def load_processor(path: Path, config: RunConfig) -> Any:
    """Load the checkpoint's tokenizer."""
    return models.load_tokenizer(path, config.loading)


def preprocess(rows: Mapping[str, Sequence[Any]], processor: Any, config: RunConfig) -> dict[str, list[Any]]:
    """Write digits as words."""
    texts = [" ".join(map(str, digits)) for digits in rows["digits"]]
    encoded = processor(texts, truncation=True, max_length=config.data.max_length, return_token_type_ids=False)
    features = {"input_ids": encoded["input_ids"]}
    return {**features, "labels": list(rows["mean"])} if "mean" in rows else features


def build_model(path: Path, labels: Sequence[str], config: RunConfig, **arguments: Any) -> Any:
    """Load the checkpoint with one output."""
    from transformers import AutoModelForSequenceClassification

    return models.load(
        AutoModelForSequenceClassification,
        path,
        ["mean"],
        config.loading,
        config.training,
        problem_type="regression",
        **arguments,
    )


def predictions(outputs: Any, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Logits (B, 1) → numbers."""
    return {"prediction": outputs.logits.float().reshape(-1).cpu().tolist()}
