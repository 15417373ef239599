"""The held-out rows of a run with the predictions of its model, and what the model makes of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import runs
from toolkit.evaluation import prediction_store
from toolkit.evaluation.context import clusters, references
from toolkit.evaluation.predict_rows import identity, predict_rows
from toolkit.evaluation.shift.find import Side
from toolkit.evaluation.shift.unreadable import Count
from toolkit.evaluation.statistics.clusters import Floats
from toolkit.events import Observe, Stage
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import LoadedModel, StoredModel
from toolkit.runs import checksums
from toolkit.training.adaptation import feature_vectors

FOLDER = "watch"  # in a run
_CHUNK = 500  # rows in memory as inputs of the model


@dataclass(frozen=True)
class Reference:
    """Held-out rows of a run.

    Attributes:
        side: The rows with predictions and truth.
        validation: Which are validation rows; the others are test rows. Shape (N,).
    """

    side: Side
    validation: np.ndarray[Any, np.dtype[np.bool_]]


def held_out(run: runs.Run, stored: StoredModel, most: int, observe: Observe, *, keep: bool) -> Reference:
    """Return a sample of the validation rows and test rows of a run, which the model was not trained on.

    Args:
        run: The run.
        stored: Its model.
        most: Rows at most, drawn at random by the run's seed.
        observe: Called with each event.
        keep: Whether to store their predictions in the run for later calls.

    Raises:
        SourceError: They are missing, damaged or changed.
    """
    files = _files(run)
    parts = [checksums.read_rows(file) for file in files]
    validation = np.repeat([file.stem == "validation" for file in files], [part.num_rows for part in parts])
    rows = pa.concat_tables(parts, promote_options="permissive")
    chosen = sample(rows.num_rows, most, stored.config.training.seed)
    rows = rows.take(pa.array(chosen))
    predictions = _predictions(run.path / FOLDER, stored, rows, observe, keep=keep)
    together = clusters(stored.recipe.task, rows, stored.config.data.group_column)
    return Reference(
        Side(rows, predictions.predictions.columns, together, references(stored.recipe, rows)), validation[chosen]
    )


def held_out_rows(run: runs.Run) -> int:
    """Return how many held-out rows a run keeps."""
    return sum(runs.row_count(file) for file in _files(run))


def unreadable(run: runs.Run, inputs: Sequence[str]) -> Count:
    """Return how many rows of a run's data were left out because an input could not be read.

    Args:
        run: The run.
        inputs: Roles of the inputs.
    """
    data = run.facts.get("data") or {}
    counts = data.get("counts") or {}
    bad = sum(int(counts.get(name, 0)) for name in ("unreadable", *(f"empty_{role}" for role in inputs)))
    return Count(bad, bad + sum(int(part["rows"]) for part in data.get("splits", ())))


def _files(run: runs.Run) -> list[Path]:
    """Return the files of the validation rows, which a run may lack, and of the test rows."""
    validation, test = (run.path / "data" / f"{name}.parquet" for name in ("validation", "test"))
    return [file for file in (validation, test) if file == test or file.is_file()]


def sample(rows: int, most: int, seed: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the numbers of all rows, or of `most` of them drawn at random, in ascending order."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng([seed, 16]).choice(rows, most, replace=False))


def _predictions(
    folder: Path, stored: StoredModel, rows: pa.Table, observe: Observe, *, keep: bool
) -> prediction_store.StoredPredictions:
    """Return stored predictions of the rows, or predict them."""
    file = folder / prediction_store.FILE
    found = prediction_store.find([file] if file.is_file() else [], identity(stored, rows))
    if found is not None:
        return found
    observe(Stage(f"Predicting {rows.num_rows:,} held-out rows"))
    predicted = predict_rows(stored, rows, "held-out", observe)
    if keep:
        prediction_store.write(file, predicted)
        checksums.record(folder, [prediction_store.FILE])
    return predicted


def vectors(loaded: LoadedModel, reference: pa.Table, new: pa.Table, observe: Observe) -> Floats | None:
    """Return what the model's backbone makes of each row, the reference rows first; None for texts. Shape (N, D).

    Both kinds of rows are mixed before they are put into batches, so that padding does not tell them apart.

    Args:
        loaded: The model.
        reference: Reference rows.
        new: New rows.
        observe: Called with each event.
    """
    task = loaded.recipe.task.narrowed(new).narrowed(reference)
    if task.texts_in(new):
        return None
    roles = task.inputs_in(new)
    rows = pa.concat_tables([reference.select(roles), new.select(roles)], promote_options="permissive")
    observe(Stage(f"Computing features of {rows.num_rows:,} rows"))
    order = np.random.default_rng(loaded.config.training.seed).permutation(rows.num_rows)
    collate = partial(loaded.recipe.collate, processor=loaded.processor)
    size = loaded.config.evaluation.batch_size
    made: Floats | None = None
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        means = feature_vectors.row_means(loaded.model, encode_rows(rows.take(pa.array(chunk)), loaded), collate, size)
        if means is None:
            return None
        made = np.zeros((rows.num_rows, means.shape[1])) if made is None else made
        made[chunk] = means
    return made
