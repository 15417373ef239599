"""The first pass over streamed data: which rows are held out, how many train, and a sample of these.

The part of a row depends on a hash of its inputs alone (of its group, with a group column): it is the same in another
order, with rows appended and in another run, and equal inputs are never in two parts. Of the rows of each part those
with the lowest hashes are kept in memory, and the first of each class.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import environment, runs
from toolkit.config.settings import DataConfig
from toolkit.data.division.split import PARTS, row_keys
from toolkit.data.streaming import units as units_
from toolkit.data.streaming.units import Unit
from toolkit.errors import DataError

MOST_ROWS = {"train": 8192, "validation": 4096, "test": 4096}
OF_EACH_CLASS = 8  # rows of a class that are kept in any case
Integers = np.ndarray[Any, np.dtype[np.int64]]
Hashes = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class Survey:
    """The result of the first pass.

    Attributes:
        units: The pieces of the data.
        rows: Training rows of each.
        parts: Part → the rows that are kept, as they were written.
        counts: Part → all its rows.
        unused: Rows without inputs or without a label.
        fingerprint: Of all rows: a sum of hashes, which their order does not change.
        notes: On unreadable rows.
    """

    units: Sequence[Unit]
    rows: Sequence[int]
    parts: dict[str, pa.Table]
    counts: dict[str, int]
    unused: int
    fingerprint: str
    notes: Sequence[str]


@dataclass
class _Kept:
    """The rows of a part that are kept so far."""

    most: int
    rows: pa.Table | None = None
    hashes: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    classes: list[Any] = field(default_factory=list)

    def add(self, rows: pa.Table, hashes: Hashes, classes: Sequence[Any]) -> None:
        joined = rows if self.rows is None else pa.concat_tables([self.rows, rows], promote_options="permissive")
        every = np.concatenate([self.hashes, hashes])
        names = [*self.classes, *classes]
        held: dict[Any, int] = {}
        chosen = []
        for place, row in enumerate(np.argsort(every, kind="stable").tolist()):
            held[names[row]] = held.get(names[row], 0) + 1
            if place < self.most or (names[row] is not None and held[names[row]] <= OF_EACH_CLASS):
                chosen.append(row)
        chosen.sort()
        self.rows, self.hashes = joined.take(chosen).combine_chunks(), every[chosen]
        self.classes = [names[row] for row in chosen]


def part_numbers(hashes: Hashes, config: DataConfig) -> Integers:
    """Return the part of each row, as its place in `PARTS`. Shape (rows,)."""
    places = hashes.astype(np.float64) / 2.0**64
    test, validation = config.test_fraction, config.test_fraction + config.validation_fraction
    return np.where(places < test, 2, np.where(places < validation, 1, 0)).astype(np.int64)


def hashes_of(rows: pa.Table, inputs: Sequence[str], config: DataConfig) -> Hashes:
    """Return the hash that decides about the part of each row, of rows in the recipe's roles. Shape (rows,)."""
    return row_keys(rows, [config.group_column] if config.group_column else inputs)


def survey(
    config: DataConfig,
    usable: Callable[[pa.Table], pa.Table],
    inputs: Callable[[pa.Table], Sequence[str]],
    label: Callable[[pa.Table], Sequence[Any]],
    makers: Sequence[Any],
) -> Survey:
    """Read all rows once, one unit at a time; the survey of the same files and settings is used again.

    Args:
        config: Names the data.
        usable: Rows as they were written → those with inputs and a label, in the recipe's roles.
        inputs: Such rows → the columns by which they are compared.
        label: Such rows → the class of each; None where rows have no single class.
        makers: Values that identify the three.

    Raises:
        DataError: The data do not fit the recipe.
    """
    pieces = units_.units(config)
    files = [(str(file), file.stat()) for file in dict.fromkeys(piece.file for piece in pieces)]
    identity = [[(name, stat.st_size, stat.st_mtime_ns) for name, stat in files], config.model_dump(), *makers]
    digest = hashlib.sha256(json.dumps(identity, default=str).encode()).hexdigest()
    folder = environment.cache_folder() / "streams" / digest
    if (folder / "survey.json").is_file():
        return _stored(folder, pieces)
    kept = {part: _Kept(most) for part, most in MOST_ROWS.items()}
    counts, rows_of, unused, total = dict.fromkeys(PARTS, 0), list[int](), 0, 0
    notes: list[str] = []
    for piece in pieces:
        raw, remarks = units_.read(piece, config)
        notes += [note for note in remarks if len(notes) < 20 and note not in notes]
        rows = usable(raw)
        unused += raw.num_rows - rows.num_rows
        hashes = hashes_of(rows, inputs(rows), config)
        total = (total + int(hashes.sum(dtype=np.uint64))) % 2**64
        numbers, classes = part_numbers(hashes, config), label(rows)
        place = {row: number for number, row in enumerate(raw["_row"].to_pylist())}
        origins = np.array([place[row] for row in rows["_row"].to_pylist()], np.int64)
        for number, part in enumerate(PARTS):
            mine = np.flatnonzero(numbers == {"train": 0, "validation": 1, "test": 2}[part])
            counts[part] += len(mine)
            kept[part].add(raw.take(origins[mine]), hashes[mine], [classes[row] for row in mine.tolist()])
            if number == 0:
                rows_of.append(len(mine))
    parts = {part: of.rows for part, of in kept.items() if of.rows is not None}
    if any(not counts[part] for part in PARTS):
        raise DataError(
            f"{sum(counts.values())} rows are too few to hold some of them out by a hash.",
            "Train without --streaming.",
            id="data.too-few-rows",
        )
    fingerprint = f"{total:016x}-{'-'.join(str(counts[part]) for part in PARTS)}"
    made = Survey(pieces, rows_of, parts, counts, unused, fingerprint, notes)
    _store(folder, made)
    return made


def _store(folder: Path, made: Survey) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with runs.aside(folder) as draft:
        draft.mkdir()
        for part, rows in made.parts.items():
            runs.write_table(draft / f"{part}.parquet", rows)
        facts = {name: getattr(made, name) for name in ("rows", "counts", "unused", "fingerprint", "notes")}
        runs.write_json(draft / "survey.json", facts)


def _stored(folder: Path, pieces: Sequence[Unit]) -> Survey:
    facts = runs.read_object(folder / "survey.json")
    parts = {part: runs.read_table(folder / f"{part}.parquet") for part in PARTS}
    return Survey(pieces, parts=parts, **facts)
