"""A digest of a table's content, computed on Arrow's own buffers: a million rows take about a second."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.media import columns as media_columns


def table_digest(table: pa.Table, columns: Sequence[str]) -> str:
    """Return the SHA-256 of some columns: the same values give the same digest, however they are cut into chunks."""
    digest = hashlib.sha256(json.dumps([list(columns), table.num_rows]).encode())
    for name in columns:
        _add(table[name].chunks, table[name].type, digest)
    return digest.hexdigest()


def _add(chunks: Sequence[pa.Array], kind: pa.DataType, digest: Any) -> None:
    """Add a column: first the missing values and lengths, then the concatenated values."""
    if media_columns.is_type(kind):  # the same pictures or recordings in other files are the same data
        _add([pc.struct_field(chunk, "digest") for chunk in chunks], pa.string(), digest)
        return
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        chunks = [chunk.cast(kind) for chunk in chunks]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        digest.update(b"text")
        for chunk in chunks:
            digest.update(_numbers(pc.binary_length(chunk)))
        for chunk in chunks:
            digest.update(_text_bytes(chunk))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        digest.update(b"list")
        for chunk in chunks:
            digest.update(_numbers(pc.list_value_length(chunk)))
        _add([chunk.flatten() for chunk in chunks], kind.value_type, digest)
    elif pa.types.is_integer(kind):
        digest.update(b"integer")
        for chunk in chunks:
            digest.update(_numbers(pc.is_valid(chunk)))
        for chunk in chunks:
            digest.update(_numbers(chunk))
    else:
        digest.update(str(kind).encode())
        for chunk in chunks:
            for value in chunk:
                digest.update(f"{value.as_py()!r}\x1f".encode("utf-8", "surrogatepass"))


def _numbers(values: pa.Array) -> bytes:
    """Return integers or truth values as bytes; -1 means missing."""
    filled = pc.fill_null(values.cast(pa.int64()), -1)
    return np.asarray(filled.to_numpy(zero_copy_only=False), np.int64).tobytes()


def _text_bytes(texts: pa.Array) -> Any:
    """Return the UTF-8 of all texts, concatenated, without copying it where nothing is missing."""
    whole = pc.drop_null(texts)
    if len(whole) == 0:
        return b""
    _, offsets, values = whole.buffers()
    wide = np.int64 if pa.types.is_large_string(whole.type) else np.int32
    places = np.frombuffer(offsets, wide, len(whole) + 1, whole.offset * np.dtype(wide).itemsize)
    return memoryview(values)[places[0] : places[-1]] if values is not None else b""
