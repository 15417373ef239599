"""The first pass over streamed data: which rows are held out, how many train, and a sample of these.

The part of a row depends on a hash of its inputs alone (of its group, with a group column): it is the same in another
order and in another run, and equal inputs are never in two parts. A held-out part is kept in memory: its share is
halved until it fits, so that all other rows train, and rows appended leave it as it is until the data have doubled. Of
the training rows those with the lowest hashes are kept as a sample, and the first of each class.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import environment, runs
from toolkit.config.settings import DataConfig
from toolkit.data.batching import cache
from toolkit.data.division.split import PARTS, row_keys
from toolkit.data.streaming import units as units_
from toolkit.data.streaming.units import Unit
from toolkit.errors import DataError, RunError

MOST_ROWS = {"train": 8192, "validation": 4096, "test": 4096}
OF_EACH_CLASS = 8  # training rows of a class that are in the sample in any case
_HALVINGS = 50  # of the share of a held-out part at most
Integers = np.ndarray[Any, np.dtype[np.int64]]
Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Survey:
    """The result of the first pass.

    Attributes:
        units: The pieces of the data.
        rows: Training rows of each.
        parts: Part → the rows that are kept, as they were written.
        shares: Part that is held out → its share of the rows.
        unused: Rows without inputs or without a label.
        fingerprint: Of all rows: a sum of hashes, which their order does not change.
        notes: On unreadable rows.
    """

    units: Sequence[Unit]
    rows: Sequence[int]
    parts: dict[str, pa.Table]
    shares: dict[str, float]
    unused: int
    fingerprint: str
    notes: Sequence[str]


@dataclass
class _Kept:
    """The rows of a part that are kept so far: those with the lowest hashes, and some of each class."""

    most: int
    of_each_class: int
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
            if place < self.most or (names[row] is not None and held[names[row]] <= self.of_each_class):
                chosen.append(row)
        chosen.sort()
        self.rows, self.hashes = joined.take(chosen).combine_chunks(), every[chosen]
        self.classes = [names[row] for row in chosen]

    def keep(self, some: Flags) -> None:
        """Keep only some of the rows."""
        if self.rows is not None:
            self.rows = self.rows.filter(pa.array(some))

    def __len__(self) -> int:
        return 0 if self.rows is None else int(self.rows.num_rows)


def is_held_out(hashes: Hashes, config: DataConfig, shares: Mapping[str, float]) -> dict[str, Flags]:
    """Return which rows each part that is held out has. Each of shape (rows,).

    Args:
        hashes: Of the rows.
        config: Its fractions say where the hashes of a part begin.
        shares: Part → its share of the rows.
    """
    places = _places(hashes, config)
    return {part: (places[part] >= 0) & (places[part] < share) for part, share in shares.items()}


def _places(hashes: Hashes, config: DataConfig) -> dict[str, Floats]:
    """Return how far each hash is from where a part's begin, as a share of all hashes. Each of shape (rows,)."""
    places = hashes.astype(np.float64) / 2.0**64
    return {"test": places, "validation": places - config.test_fraction}


def _fractions(config: DataConfig) -> dict[str, float]:
    return {"test": config.test_fraction, "validation": config.validation_fraction}


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
        with suppress(OSError):  # a read-only cache
            os.utime(folder)  # used just now
        return _stored(folder, pieces)
    kept = {part: _Kept(most, OF_EACH_CLASS if part == "train" else 0) for part, most in MOST_ROWS.items()}
    fractions, rows_of, unused, total = _fractions(config), list[int](), 0, 0
    halved: dict[str, list[Integers]] = {part: [] for part in fractions}  # part → of each unit, as of `_halved`
    notes: list[str] = []
    for piece in pieces:
        raw, remarks = units_.read(piece, config)
        notes += [note for note in remarks if len(notes) < 20 and note not in notes]
        rows = usable(raw)
        unused += raw.num_rows - rows.num_rows
        hashes = hashes_of(rows, inputs(rows), config)
        total = (total + int(hashes.sum(dtype=np.uint64))) % 2**64
        held, classes = is_held_out(hashes, config, fractions), label(rows)
        members = {**held, "train": ~np.logical_or.reduce(list(held.values()))}
        place = {row: number for number, row in enumerate(raw["_row"].to_pylist())}
        origins = np.array([place[row] for row in rows["_row"].to_pylist()], np.int64)
        for part in PARTS:
            mine = np.flatnonzero(members[part])
            kept[part].add(raw.take(origins[mine]), hashes[mine], [classes[row] for row in mine.tolist()])
        for part, distances in _places(hashes, config).items():
            halved[part].append(_halved(distances[members[part]], fractions[part]))
        rows_of.append(rows.num_rows)
    times = {part: int(np.argmax(np.sum(of_units, axis=0) <= MOST_ROWS[part])) for part, of_units in halved.items()}
    shares = {part: fractions[part] / 2.0 ** times[part] for part in fractions}
    for part, of_units in halved.items():
        rows_of = [rows - int(of_unit[times[part]]) for rows, of_unit in zip(rows_of, of_units, strict=True)]
        kept[part].keep(is_held_out(kept[part].hashes, config, {part: shares[part]})[part])
    parts = {part: of.rows for part, of in kept.items() if of.rows is not None}
    if not sum(rows_of) or any(part not in parts or not parts[part].num_rows for part in PARTS):
        raise DataError(
            f"{sum(map(len, kept.values()))} rows are too few to hold some of them out by a hash.",
            "Train without --streaming.",
            id="data.too-few-rows",
        )
    fingerprint = f"{total:016x}-{'-'.join(str(shares[part]) for part in sorted(shares))}"
    made = Survey(pieces, rows_of, parts, shares, unused, fingerprint, notes)
    with suppress(OSError, RunError):  # a full or read-only disk
        _store(folder, made)
        cache.shrink(folder.parent, int(config.cache_gib * 2**30))
    return made


def _halved(places: Floats, fraction: float) -> Integers:
    """Return how many rows a held-out part has with its fraction, with half of it, and so on. Shape (_HALVINGS,)."""
    return np.array([np.count_nonzero(places < fraction / 2.0**times) for times in range(_HALVINGS)], np.int64)


def _store(folder: Path, made: Survey) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with runs.aside(folder) as draft:
        draft.mkdir()
        for part, rows in made.parts.items():
            runs.write_table(draft / f"{part}.parquet", rows)
        facts = {name: getattr(made, name) for name in ("rows", "shares", "unused", "fingerprint", "notes")}
        runs.write_json(draft / "survey.json", facts)


def _stored(folder: Path, pieces: Sequence[Unit]) -> Survey:
    facts = runs.read_object(folder / "survey.json")
    parts = {part: runs.read_table(folder / f"{part}.parquet") for part in PARTS}
    return Survey(pieces, parts=parts, **facts)
