"""The columns of a Parquet or Arrow input as they are, for an output of the same rows in one of these formats.

input   Parquet, Arrow, Feather, shards of `save_to_disk`      dates, decimals, categories, lists, structures …
output  Parquet: all but the types that it lacks, which are written as text
        Arrow: a category of the whole file has one list of values, as this format demands
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.formats import arrow_files

PARQUET = ".parquet"
ARROW = (".arrow", ".feather")


@dataclass(frozen=True)
class TypedColumns:
    """Columns that an output takes from the input as they are.

    Attributes:
        files: Of the input, in the order of their rows.
        schema: The columns with their types.
        values: Name of a column of categories → the categories of all rows; empty where they may differ.
    """

    files: Sequence[Path] = ()
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    values: Mapping[str, pa.Array] = field(default_factory=dict)

    def reader(self) -> Callable[[int], pa.Table]:
        """Return a function that returns so many further rows."""
        batches = self._batches()
        waiting = self.schema.empty_table()

        def take(rows: int) -> pa.Table:
            nonlocal waiting
            while self.files and waiting.num_rows < rows:
                waiting = pa.concat_tables([waiting, next(batches)])
            taken, waiting = waiting.slice(0, rows), waiting.slice(rows)
            return taken

        return take

    def _batches(self) -> Iterator[pa.Table]:
        for file in self.files:
            for batch in arrow_files.packed(file):
                columns = [self._fitted(batch.column(item.name), item) for item in self.schema]
                yield pa.Table.from_arrays(columns, schema=self.schema)

    def _fitted(self, column: pa.Array, wanted: pa.Field) -> pa.Array:
        """Return a column in the type of the schema: Parquet gives repeated texts as categories."""
        if wanted.name in self.values:
            values = self.values[wanted.name]
            places = pc.index_in(column.dictionary, value_set=values).take(column.indices)
            return pa.DictionaryArray.from_arrays(places, values, ordered=wanted.type.ordered)
        return column if column.type == wanted.type else arrow_files.written_out(column).cast(wanted.type)


def columns_of(source: Path, suffix: str) -> TypedColumns:
    """Return the columns of an input whose types an output keeps; none of an input of another format.

    Args:
        source: The input: a file, or a folder that `save_to_disk` of the datasets library wrote.
        suffix: Of the output.
    """
    folder = source.is_dir()
    files = arrow_files.shards(source) if folder else [source]
    if not files or any(file.suffix.lower() not in arrow_files.SUFFIXES for file in files):
        return TypedColumns()
    schema = arrow_files.schema(files[0])
    unique = [item for item in schema if len(schema.get_all_field_indices(item.name)) == 1]
    if suffix == PARQUET:
        return TypedColumns(files, pa.schema([item for item in unique if _in_parquet(item)], schema.metadata))
    values = _values(files, [item.name for item in unique if pa.types.is_dictionary(item.type)])
    kinds = [_in_arrow(item, values.get(item.name)) for item in unique]
    return TypedColumns(files, pa.schema(kinds, schema.metadata), values)


def _in_parquet(item: pa.Field) -> bool:
    """Whether Parquet has the type of a column."""
    import pyarrow.parquet as pq

    try:
        pq.ParquetWriter(pa.BufferOutputStream(), pa.schema([item])).close()
    except pa.ArrowNotImplementedError:
        return False
    return True


def _in_arrow(item: pa.Field, values: pa.Array | None) -> pa.Field:
    """Return a column as an Arrow file has it: of categories inside lists and structures the values."""
    if values is not None:
        return item.with_type(pa.dictionary(pa.int32(), values.type, item.type.ordered))
    return item.with_type(arrow_files.written_out(pa.array([], item.type)).type)


def _values(files: Sequence[Path], names: Sequence[str]) -> dict[str, pa.Array]:
    """Return the categories of columns, of all rows, in the order in which they occur."""
    values: dict[str, pa.Array] = {}
    for file in files if names else ():
        for batch in arrow_files.packed(file):
            for name in names:
                of_batch = batch.column(name).dictionary
                known = values.get(name)
                if known is None or not known.equals(of_batch):
                    values[name] = of_batch if known is None else pc.unique(pa.concat_arrays([known, of_batch]))
    return values
