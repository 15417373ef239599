"""Recordings as columns of a table: see `toolkit.data.media.columns`."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from toolkit.config.settings import DataConfig
from toolkit.data.audio import decoding
from toolkit.data.media import columns
from toolkit.data.media.columns import Medium


def _inspect(rows: Sequence[Mapping[str, Any]], data: DataConfig) -> Sequence[decoding.InspectedRecording]:
    return decoding.inspect_all(rows, data.max_seconds)


RECORDINGS = Medium(
    role="audio",
    nouns=("recording", "recordings"),
    suffixes=decoding.SUFFIXES,
    facts=(("seconds", pa.float32()), ("rate", pa.int32()), ("peak", pa.float32())),
    inspect=_inspect,
    limit="data.max_seconds",
)
TYPE = RECORDINGS.type


def name(recording: Mapping[str, Any]) -> str:
    """Return the name of a recording in messages: its file's name, else its length."""
    return columns.name(recording, f"{recording.get('seconds') or 0:.2f} seconds")
