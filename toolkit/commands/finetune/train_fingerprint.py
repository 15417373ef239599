"""What a run keeps of its training rows, so that an evaluation on them is reported.

These are digests, summaries by which near-duplicates are found, and texts of entities.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit import runs
from toolkit.data.media import columns as media_columns
from toolkit.evaluation import entities
from toolkit.evaluation.checks import repeated_rows
from toolkit.runs.trust import damage
from toolkit.tasks.contract import Recipe

FILE = "data/train.npy"  # digests of the training rows, sorted
SUMMARY = "data/train_summary.parquet"  # of each training row, see `repeated_rows.find`
ENTITIES = "data/train_entities.json"  # texts of the entities of the training rows, where words have labels


def digests(recipe: Recipe, rows: pa.Table) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return a digest of each row's inputs: of texts without the space around them, of decoded files.

    There are none where equal inputs are not the same example.
    """
    inputs = recipe.task.identifying_in(rows)
    parts = rows.select(inputs).to_batches(max_chunksize=10_000)
    every = (row for part in parts for row in zip(*map(_plain, part.columns), strict=True))
    return np.frombuffer(b"".join(map(_digest, every)), np.uint64)


def _digest(row: tuple[Any, ...]) -> bytes:
    return hashlib.blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def remember(run: runs.Run, recipe: Recipe, rows: pa.Table, labels: Sequence[str]) -> None:
    """Keep the digests of a run's training rows, and the texts of their entities.

    Args:
        run: The run.
        recipe: The task.
        rows: Its training rows.
        labels: Names of the classes.
    """
    with runs.aside(run.path / FILE) as draft:
        np.save(draft, np.unique(digests(recipe, rows)))
    task = recipe.task
    if task.labels_words:
        words, numbers = (rows[role].to_pylist() for role in (task.inputs[0].role, task.target.role))
        runs.write_json(run.path / ENTITIES, {"texts": sorted(entities.known_texts(words, numbers, labels))})


def known_entities(run: runs.Run) -> frozenset[str] | None:
    """Return the texts of the entities of a run's training rows; None where they are not kept."""
    file = run.path / ENTITIES
    if not file.is_file():
        return None
    with damage(file):
        return frozenset(map(str, runs.read_object(file)["texts"]))


def known(run: runs.Run, recipe: Recipe, rows: pa.Table) -> set[int]:
    """Return the positions of the rows that the run was trained on; none where the digests are missing."""
    file = run.path / FILE
    if not file.is_file():
        return set()
    with damage(file):
        learned = np.load(file, mmap_mode="r", allow_pickle=False)  # memory-mapped: its header may overstate its rows
        return set(np.flatnonzero(np.isin(digests(recipe, rows), learned)).tolist())


def keep_summary(run: runs.Run, summary: pa.Table) -> None:
    """Keep the summary of a run's training rows."""
    runs.write_table(run.path / SUMMARY, summary)


def nearly_known(run: runs.Run, recipe: Recipe, rows: pa.Table) -> list[dict[str, Any]] | None:
    """Return the near-duplicates of the run's training rows among other rows; None where they cannot be searched."""
    file = run.path / SUMMARY
    if not file.is_file():
        return None
    with damage(file):
        return repeated_rows.find_again(recipe, runs.read_table(file), rows)


def _plain(column: pa.Array) -> list[Any]:
    if media_columns.is_type(column.type):
        column = pc.struct_field(column, "digest")
    return [value.strip() if isinstance(value, str) else value for value in column.to_pylist()]
