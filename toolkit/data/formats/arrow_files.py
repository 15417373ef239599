"""Parquet and Arrow files, a piece at a time, with what is packed in them unpacked within bounds.

    reviews.parquet, reviews.arrow, reviews.feather
    saved/data-00000-of-00001.arrow, saved/state.json      as `save_to_disk` of the datasets library writes them

A repeated value is stored once in these files, so that a few bytes can unpack to more than fits into memory: texts
are counted before they are written out. NaN is a missing value.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.formats.csv_files import ADDED, clean_names
from toolkit.data.formats.text_decoding import most_unpacked, too_large
from toolkit.data.tables import class_names
from toolkit.errors import DataError
from toolkit.runs import open_for_arrow

SUFFIXES = (".parquet", ".arrow", ".feather")
STATE = "state.json"  # next to the shards of a data set that was saved to disk
_BATCH_ROWS = 4096
_BATCH_BYTES = 2**26


def read(file: Path) -> pa.Table:
    """Read a file into one table.

    Raises:
        DataError: It is damaged, or unpacks to far more than its size.
    """
    size, most, pieces = 0, most_unpacked(file), []
    for batch in batches(file):
        size += batch.nbytes
        if size > most:
            raise too_large(file)
        pieces.append(batch)
    return pa.Table.from_batches(pieces) if pieces else pa.table({})


def batches(file: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file, in batches that take little memory.

    Raises:
        DataError: It is damaged, or a row unpacks to far more than the file's size.
    """
    return map(plain, packed(file))


def packed(file: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file as it stores them, in batches that take little memory when they are written out.

    Raises:
        DataError: As of `batches`.
    """
    with open_for_arrow(file) as stream, damage(file):
        for batch in _parquet(stream, file) if _is_parquet(file) else _arrow(stream):
            batch.validate(full=True)  # offsets outside the file, texts that are not UTF-8
            yield from _pieces(batch, file)


def schema(file: Path) -> pa.Schema:
    """Return the columns of a file with their types.

    Raises:
        DataError: It is damaged.
    """
    with open_for_arrow(file) as stream, damage(file):
        if _is_parquet(file):
            from pyarrow import parquet

            return parquet.read_schema(stream)
        return _reader(stream).schema


def _is_parquet(file: Path) -> bool:
    return file.suffix.lower() == ".parquet"


def named(table: pa.Table, file: Path, saved: Path | None = None) -> pa.Table:
    """Return records of a Parquet or Arrow file with clean column names, and classes by their names.

    Args:
        table: The records as they were read.
        file: The file.
        saved: The folder that `save_to_disk` of datasets wrote, if the file is in one.
    """
    if table.column_names[-len(ADDED) :] == list(ADDED):  # a file that a run directory holds
        table = table.drop_columns(list(ADDED))
    table = class_names.named(table, class_names.in_schema(table.schema, saved), str(file))
    return table.rename_columns(clean_names(table.column_names, str(file)))


@contextmanager
def damage(file: Path) -> Iterator[None]:
    """Raise a DataError where Arrow cannot read `file`."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        kind = "Parquet" if _is_parquet(file) else "Arrow"
        raise DataError(
            f"{file} cannot be read as {kind}: it is truncated, damaged or in another format ({error}).",
            "Download or write it again.",
            id="data.damaged-file",
        ) from None


def _parquet(stream: Any, file: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file; dictionary-encoded texts stay encoded."""
    from pyarrow import parquet

    metadata = parquet.read_metadata(stream)
    repeated: set[str] = set()
    rows = _BATCH_ROWS
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        spread = 0  # bytes of the numbers, and of the texts of which only an upper bound is known
        for place in range(group.num_columns):
            column = group.column(place)
            if column.physical_type != "BYTE_ARRAY":
                width = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT96": 12}.get(column.physical_type, 8)
                spread += column.num_values * width
            elif any("DICTIONARY" in encoding for encoding in column.encodings):
                repeated.add(column.path_in_schema)
            elif "DELTA_BYTE_ARRAY" in column.encodings:  # a text may be the one before it and a little more
                rows = min(rows, max(1, _BATCH_BYTES // max(1, column.total_uncompressed_size)))
        if spread + group.num_rows > most_unpacked(file):
            raise too_large(file)
        size = max(spread, group.total_byte_size)
        rows = min(rows, max(1, _BATCH_BYTES * group.num_rows // max(1, size)))
    yield from parquet.ParquetFile(stream, read_dictionary=sorted(repeated)).iter_batches(batch_size=rows)


def _arrow(stream: Any) -> Iterator[pa.RecordBatch]:
    """Yield the batches of an Arrow file, or of the stream of batches that `datasets` writes."""
    reader = _reader(stream)
    for field in reader.schema:
        if _aliases(field.type):
            raise pa.ArrowNotImplementedError(f"{field.name} is of the type {field.type}")
    of_file = isinstance(reader, pa.ipc.RecordBatchFileReader)
    yield from map(reader.get_batch, range(reader.num_record_batches)) if of_file else reader


def _reader(stream: Any) -> Any:
    head = stream.read(6)
    stream.seek(0)
    return pa.ipc.open_file(stream) if head == b"ARROW1" else pa.ipc.open_stream(stream)


def _aliases(kind: pa.DataType) -> bool:
    """Whether values of a type may share bytes that are not counted here."""
    if any(word in str(kind) for word in ("_view", "run_end_encoded", "union")):
        return True
    return isinstance(kind, pa.BaseExtensionType)


def _pieces(batch: pa.RecordBatch, file: Path) -> Iterator[pa.RecordBatch]:
    """Cut a batch into pieces that take little memory when they are written out, down to single rows."""
    size = _size(batch)
    if batch.num_rows > 1 and (batch.num_rows > _BATCH_ROWS or size > _BATCH_BYTES):
        half = batch.num_rows // 2
        yield from _pieces(batch.slice(0, half), file)
        yield from _pieces(batch.slice(half), file)
    elif size > most_unpacked(file):
        raise too_large(file)
    else:
        yield batch


def _size(batch: pa.RecordBatch) -> int:
    """Return how many bytes a batch takes when each row holds its own texts."""
    return sum(_bytes(column) for column in batch.columns)


def _bytes(array: pa.Array) -> int:
    kind = array.type
    if pa.types.is_dictionary(kind):
        each = _lengths(array.dictionary)
        return int(pc.sum(pc.take(pa.array(each), array.indices)).as_py() or 0) + 8 * len(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _bytes(array.flatten()) + 8 * len(array)
    if pa.types.is_struct(kind):
        return sum(_bytes(part) for part in array.flatten()) + len(array)
    return int(array.nbytes)


def _lengths(values: pa.Array) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return how many bytes each value of a dictionary takes. Shape (N,)."""
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        lengths = pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
        return np.asarray(lengths, np.int64)
    return np.full(len(values), -(-values.nbytes // max(1, len(values))), np.int64)


def plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch in which each row holds its own values and NaN is null; the file's notes stay with it."""
    columns = []
    for column in map(written_out, batch.columns):
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        columns.append(column)
    fields = [pa.field(name, column.type) for name, column in zip(batch.schema.names, columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields, metadata=batch.schema.metadata))


def written_out(array: pa.Array) -> pa.Array:
    """Replace dictionary encodings by their values, also inside lists and objects."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return written_out(array.dictionary.take(array.indices))
    if not pa.types.is_nested(kind) or not _holds_dictionary(kind):
        return array
    if pa.types.is_struct(kind):
        parts = [written_out(part) for part in array.flatten()]
        fields = [pa.field(field.name, part.type) for field, part in zip(kind, parts, strict=True)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=array.is_null())
    return _relisted(array, written_out(array.flatten()))


def _relisted(lists: pa.Array, values: pa.Array) -> pa.Array:
    """Return lists as long as those of an array, with other values."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    large = pa.types.is_large_list(lists.type)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64() if large else pa.int32())
    return (pa.LargeListArray if large else pa.ListArray).from_arrays(offsets, values, mask=lists.is_null())


def _holds_dictionary(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return True
    return any(_holds_dictionary(kind.field(place).type) for place in range(kind.num_fields))


def shards(folder: Path) -> list[Path]:
    """Return the files of a data set that was saved to disk, in their order; none where the folder holds none."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        names = [str(data_file["filename"]) for data_file in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [folder / Path(name).name for name in names]
