"""Predictions in a Parquet file that records which model and rows they belong to.

In addition to a row's inputs, truth and prediction it has the row's place in the user's files (`_file`, `_row`) and a
key of its contents (`_key`), and where rows belong to groups the number of its group (`_group`). The file's own
metadata hold the identity of model and data, so that a new report needs no new forward pass, and two such files can be
compared row by row.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import runs
from toolkit.data.division.split import fingerprint, row_keys
from toolkit.data.media.columns import is_type, slim
from toolkit.errors import SourceError
from toolkit.inference.predict import Predictions
from toolkit.runs import checksums

FILE = "predictions.parquet"
BASELINE = "baseline: "  # prefix of the name of a baseline's column
GROUP = "_group"  # number of each row's group: rows of one group depend on each other
POSITION = ("_file", "_row")
_AGAIN = "Run `toolkit evaluate MODEL` again, and name the folder that it prints."

_METADATA = b"toolkit"
_FACTS = {"identity": str, "recipe": str, "target": str, "split": str, "labels": list, "columns": list, "model": dict}
# Files next to the model that are not part of it: cards, and settings of the toolkit.
_NOT_THE_MODEL = {"README.md", "toolkit.json"}


@dataclass(frozen=True)
class StoredPredictions:
    """A file of predictions.

    Attributes:
        table: One row an example.
        facts: Of the file: "identity", "recipe", "labels", "model", "split", "loss", "truncated", "columns" (names of
            the model's predictions).
    """

    table: pa.Table
    facts: Mapping[str, Any]

    @property
    def predictions(self) -> Predictions:
        """The predictions of the model."""
        columns = {name: self.table[name].to_pylist() for name in self.facts["columns"]}
        return Predictions(columns, self.facts["loss"])

    @property
    def baselines(self) -> dict[str, list[Any]]:
        """The predictions of each baseline."""
        names = [name for name in self.table.column_names if name.startswith(BASELINE)]
        return {name.removeprefix(BASELINE): self.table[name].to_pylist() for name in names}

    def beside(self, baselines: Mapping[str, list[Any]]) -> "StoredPredictions":
        """Return the same with the predictions of baselines: name → prediction for each row."""
        joined = self.table
        for name, values in baselines.items():
            joined = joined.append_column(f"{BASELINE}{name}", pa.array(values))
        return StoredPredictions(joined, self.facts)

    def grouped(self, clusters: np.ndarray[Any, np.dtype[np.int64]] | None) -> "StoredPredictions":
        """Return the same with the number of each row's group, or without where rows are independent."""
        plain = self.table.drop_columns([GROUP]) if GROUP in self.table.column_names else self.table
        return StoredPredictions(
            plain if clusters is None else plain.append_column(GROUP, pa.array(clusters)), self.facts
        )


def identity(model: Path, recipe: Path, rows: pa.Table, roles: Sequence[str], settings: Mapping[str, Any]) -> str:
    """Return a digest of all that determines the predictions: weights, task, rows and settings.

    Args:
        model: Folder of the model.
        recipe: File of the recipe.
        rows: The rows to predict.
        roles: The columns of rows that the recipe reads.
        settings: How inputs are prepared, and the names of the classes.
    """
    files = [f for f in model.iterdir() if f.is_file() and f.name not in _NOT_THE_MODEL and not f.name.startswith(".")]
    parts = {
        "model": {file.name: runs.digest(file) for file in files},
        "recipe": runs.digest(recipe),
        "data": fingerprint({"test": rows}, roles),
        "settings": settings,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def table(rows: pa.Table, roles: Sequence[str], inputs: Sequence[str], predictions: Predictions) -> pa.Table:
    """Return a table of inputs, truth and predictions.

    Args:
        rows: The examples.
        roles: The columns of rows that the recipe reads.
        inputs: Those of them that identify an example: its texts.
        predictions: Of the model.
    """
    columns = {name: rows[name] for name in (*POSITION, *roles) if name in rows.column_names}
    columns = {name: slim(column) if is_type(column.type) else column for name, column in columns.items()}
    columns["_key"] = pa.array(row_keys(rows, inputs))
    columns |= {name: pa.array(values) for name, values in predictions.columns.items()}
    return pa.table(columns)


def write(path: Path, answers: StoredPredictions) -> None:
    """Write a file of predictions, whole or not at all."""
    metadata = {_METADATA: json.dumps(answers.facts, default=str).encode()}
    runs.write_table(path, answers.table.replace_schema_metadata(metadata))


def read(path: Path) -> StoredPredictions:
    """Read a file of predictions.

    Raises:
        SourceError: It is missing, damaged or changed, or was not written by `write`.
    """
    checksums.check(path, _AGAIN)
    table = runs.read_table(path)
    try:
        facts = json.loads((table.schema.metadata or {})[_METADATA])
        if not all(isinstance(facts.get(name, kind()), kind) for name, kind in _FACTS.items()):
            raise TypeError
        table.select(facts["columns"])
        _check_classes(table, len(facts.get("labels", ())))
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        raise SourceError(f"{path} lacks the facts of its model and rows.", _AGAIN, id="run.damaged") from None
    if not checksums.is_recorded(path) and not _agree(table):
        raise SourceError(
            f"{path} was changed: its predictions are not the most probable classes.", _AGAIN, id="run.changed"
        )
    return StoredPredictions(table, facts)


def _check_classes(table: pa.Table, count: int) -> None:
    """Raise a ValueError where a prediction is not the number of a class."""
    predictions = table["prediction"] if "prediction" in table.column_names else None
    if predictions is not None and count and pa.types.is_integer(predictions.type) and table.num_rows:
        numbers = np.asarray(predictions.to_pylist(), np.float64)  # NaN for a missing one
        if not ((numbers >= 0) & (numbers < count)).all():
            raise ValueError("unknown class")


def _agree(table: pa.Table) -> bool:
    """Whether each prediction is the most probable class, where there are probabilities of classes."""
    if not {"prediction", "probabilities"} <= set(table.column_names) or not table.num_rows:
        return True
    kind = table.schema.field("prediction").type
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):  # a ranking
        return True
    predictions = np.asarray(table["prediction"].to_pylist())
    probabilities = np.asarray(table["probabilities"].to_pylist(), np.float64)
    if (
        probabilities.ndim != 2
        or predictions.dtype.kind != "i"
        or not ((predictions >= 0) & (predictions < probabilities.shape[1])).all()
    ):
        return False
    own = probabilities[np.arange(len(predictions)), predictions]
    return bool((own >= probabilities.max(axis=1) - 1e-6).all())


def find(candidates: Iterable[Path], wanted: str) -> StoredPredictions | None:
    """Return the first readable file of predictions with the identity `wanted`, or None."""
    for path in candidates:
        try:
            answers = read(path)
        except SourceError:
            continue
        if answers.facts.get("identity") == wanted:
            return answers
    return None
