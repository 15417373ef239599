"""Pieces of a text that people marked; read in training alone."""

import pyarrow as pa

from toolkit.data.batching.rationales import phrases
from toolkit.tasks.task import Auxiliary


def _in_shape(table: pa.Table, name: str) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(map(phrases, table[name].to_pylist()), pa.list_(pa.string()))])


PHRASES = Auxiliary("phrases", _in_shape)
