"""The pool: rows to choose from, without those that the run has already, and what the model says of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import runs
from toolkit.commands.finetune import train_fingerprint
from toolkit.commands.predict.predictor import Predictor
from toolkit.data.sources.row_formats import Row
from toolkit.evaluation.checks import repeated_rows
from toolkit.evaluation.statistics.temperature import at_temperature
from toolkit.events import Counted, Event, Observe
from toolkit.inference.vectors import predict_with_vectors
from toolkit.runs import checksums

CHUNK = 1024  # rows in a pass
_HELD_OUT = ("validation", "test")

Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Pool:
    """Rows to choose from.

    Attributes:
        positions: The place of each row in the pool, from 1.
        values: Columns of each row as they are written next to its prediction.
        table: The rows in the recipe's roles.
        counts: "rows" of the pool, those "read", and of these the rows left out: "unreadable", "known" to the run,
            "near_duplicates" of such rows, and "repeated" in the pool.
    """

    positions: Sequence[int]
    values: Sequence[Mapping[str, Any]]
    table: pa.Table
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Predicted:
    """What the model says of the rows of a pool.

    Attributes:
        answers: The columns of the target for each row.
        probabilities: Calibrated where the model has a temperature; None where it predicts without. Shape (N, C).
        vectors: Shape (N, D).
    """

    answers: Sequence[Mapping[str, Any]]
    probabilities: Any | None
    vectors: Floats


def gather(predictor: Predictor, rows: Sequence[tuple[int, Row]], total: int, run: runs.Run | None) -> Pool:
    """Read the sampled rows, and leave out what cannot be read, what the run has already, and repeated rows.

    Args:
        predictor: Reads them as the model does.
        rows: (position, row) of each.
        total: Rows of the whole pool.
        run: The run whose rows are left out; None for a model without a run.
    """
    places: list[int] = []
    shown: list[dict[str, Any]] = []
    parts: list[pa.Table] = []
    for start in range(0, len(rows), CHUNK):
        chunk = [row for _, row in rows[start : start + CHUNK]]
        part, good, inputs = predictor.table(chunk)
        parts.append(part)
        places += [start + number for number in good]
        shown += inputs
    table = pa.concat_tables(parts) if parts else pa.table({})
    known, near, repeated = _left_out(predictor, table, run)
    kept = [n for n in range(len(places)) if n not in known and n not in near and n not in repeated]
    counts = {
        "rows": total,
        "read": len(rows),
        "unreadable": len(rows) - len(places),
        "known": len(known),
        "near_duplicates": len(near),
        "repeated": len(repeated),
    }
    values = [shown[number] for number in kept]
    positions = [rows[places[number]][0] for number in kept]
    return Pool(positions, values, table.take(pa.array(kept, pa.int64())), counts)


def _left_out(predictor: Predictor, table: pa.Table, run: runs.Run | None) -> tuple[set[int], set[int], set[int]]:
    """Return the rows that the run has, near-duplicates of such rows, and copies of earlier rows of the pool."""
    recipe = predictor.stored.recipe
    if not table.num_rows:
        return set(), set(), set()
    digests = train_fingerprint.digests(recipe, table)
    first = np.unique(digests, return_index=True)[1] if len(digests) else np.arange(table.num_rows)
    repeated = set(range(table.num_rows)) - set(first.tolist())
    if run is None:
        return set(), set(), repeated
    known = train_fingerprint.known(run, recipe, table)
    near = {pair["position"] for pair in train_fingerprint.nearly_known(run, recipe, table) or ()}
    for part in _HELD_OUT:
        file = run.path / "data" / f"{part}.parquet"
        if file.is_file():
            held_out = checksums.read_rows(file)
            known |= set(np.flatnonzero(np.isin(digests, train_fingerprint.digests(recipe, held_out))).tolist())
            near |= set(repeated_rows.copies(recipe, held_out, table))
    return known, near - known, repeated - known - near


def predict(predictor: Predictor, pool: Pool, observe: Observe) -> Predicted:
    """Predict the rows of a pool, with the vector of each.

    Args:
        predictor: The model.
        pool: The rows.
        observe: Called with the progress.
    """
    loaded, target = predictor.stored.loaded, predictor.stored.recipe.target
    answers: list[dict[str, Any]] = []
    scores: list[Any] = []
    vectors: list[Floats] = []
    for start in range(0, pool.table.num_rows, CHUNK):
        rows = pool.table.slice(start, CHUNK)
        made, chunk = predict_with_vectors(loaded, rows, _counted(observe, start, pool.table.num_rows))
        vectors.append(chunk)
        own = made.columns.get("probabilities")
        for number, prediction in enumerate(made.columns["prediction"]):
            probabilities = None if own is None else own[number]
            scaled = None
            if probabilities is not None:
                scaled = at_temperature(probabilities, predictor.temperature) if predictor.temperature else None
                scores.append(probabilities if scaled is None else scaled)
            answers.append(target.answer(prediction, probabilities, scaled, predictor.how))
    return Predicted(answers, np.asarray(scores, np.float64) if scores else None, np.concatenate(vectors))


def _counted(observe: Observe, before: int, total: int) -> Observe:
    def report(event: Event) -> None:
        observe(Counted(before + event.done, total) if isinstance(event, Counted) else event)

    return report
