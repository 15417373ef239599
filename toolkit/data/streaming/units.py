"""The pieces in which streamed data are read: the row groups of Parquet files, and whole files of other formats."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from toolkit import sources
from toolkit.config.settings import DataConfig
from toolkit.data.formats import arrow_files
from toolkit.data.sources import local_files
from toolkit.data.sources.acquire import read_configured
from toolkit.data.sources.part_names import part_of
from toolkit.errors import ConfigError, DataError, SourceError

MOST_BYTES = 2**28  # of a unit: it is in memory as a whole
_PARQUET = ".parquet"


@dataclass(frozen=True)
class Unit:
    """A piece of the data that is read as a whole.

    Attributes:
        file: Path of the file.
        group: Number of the row group; None for a whole file of another format.
    """

    file: Path
    group: int | None = None


def units(config: DataConfig) -> list[Unit]:
    """Return the pieces of the data, in the order of the names of the files.

    Raises:
        SourceError: There is no such file or folder on this machine.
        ConfigError: The files are divided into parts.
        DataError: A piece is too large to be in memory.
    """
    path = sources.local_path(sources.parse(config.source))
    if path is None:
        raise SourceError(
            f"{config.source} is not on this machine, and only local files are streamed.",
            "Download it and give the folder.",
            id="source.not-local",
        )
    if path.is_dir():
        files = local_files.data_files(path)
        parts = {part_of(name) for file in files for name in (file.stem, file.parent.name)}
        held_out = sorted(part for part in parts if part in ("validation", "test"))
        if held_out:
            raise _of_parts(path, held_out)
        if not files:
            raise SourceError(
                f"{path} has no files that can be read.", "Give another folder.", id="source.no-data-in-folder"
            )
    else:
        files = [path]
    return [unit for file in files for unit in _of_file(file)]


def _of_parts(path: Path, held_out: Sequence[str]) -> ConfigError:
    """Return the error for data that are divided into parts."""
    return ConfigError(
        f"{path} holds the parts {' and '.join(held_out)}; streamed data are divided by a hash.",
        "Give the training rows alone; `toolkit evaluate` takes other test files.",
        id="data.streaming-parts",
    )


def _of_file(file: Path) -> list[Unit]:
    if not file.is_file() or file.suffix.lower() != _PARQUET:
        size = file.stat().st_size if file.is_file() else 0
        packed = file.suffix.lower() in (".gz", ".zip")
        _check_size(str(file), size * (8 if packed else 1))
        return [Unit(file)]
    from pyarrow import parquet

    with arrow_files.damage(file):
        metadata = parquet.read_metadata(file)
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            _check_size(f"Row group {number} of {file}", max(group.total_byte_size, group.num_rows))
        return [Unit(file, number) for number in range(metadata.num_row_groups)]


def _check_size(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise DataError(
            f"{name} has {size / 2**20:,.0f} MiB, and streaming reads it as a whole.",
            f"Write Parquet with smaller row groups (`row_group_size` of pyarrow), or files of at most "
            f"{MOST_BYTES // 2**20} MiB.",
            id="data.streaming-unit",
        )


def read(unit: Unit, config: DataConfig) -> tuple[pa.Table, Sequence[str]]:
    """Return the rows of a unit as they were written, with `_file` and `_row`; and notes on unreadable ones."""
    if unit.group is None:
        tables = read_configured(unit.file, config)
        if not tables.parts.keys() <= {"all", "train"}:  # of an archive, or the sheets of a workbook
            raise _of_parts(unit.file, sorted(tables.parts.keys() - {"train"}))
        return pa.concat_tables(tables.parts.values(), promote_options="permissive"), tables.notes
    from pyarrow import parquet

    with arrow_files.damage(unit.file), parquet.ParquetFile(unit.file) as opened:
        before = sum(opened.metadata.row_group(number).num_rows for number in range(unit.group))
        table = opened.read_row_group(unit.group, use_threads=False)
        table.validate(full=True)
        if table.nbytes > 2 * MOST_BYTES:
            _check_size(f"Row group {unit.group} of {unit.file}", table.nbytes)
    batches = [arrow_files.plain(batch) for batch in table.to_batches()]
    plain = pa.Table.from_batches(batches) if batches else table
    named = arrow_files.named(plain, unit.file)
    rows = pa.array(np.arange(before + 1, before + 1 + named.num_rows))
    return local_files.with_positions(named, local_files.in_utf8(unit.file.name), rows), ()
