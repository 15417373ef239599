"""Pictures as columns of a table: see `toolkit.data.media.columns`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.config.settings import DataConfig
from toolkit.data.images.image_decoding import SUFFIXES, InspectedImage, in_groups, inspect
from toolkit.data.media import columns
from toolkit.data.media.columns import Medium


def _inspect(rows: Sequence[Mapping[str, Any]], data: DataConfig) -> Sequence[InspectedImage]:
    return in_groups(rows, lambda group: [inspect(row, data.max_pixels) for row in group])


PICTURES = Medium(
    role="image",
    nouns=("picture", "pictures"),
    suffixes=SUFFIXES,
    facts=(("width", pa.int32()), ("height", pa.int32())),
    inspect=_inspect,
    limit="data.max_pixels",
)
TYPE = PICTURES.type


def column(values: pa.ChunkedArray, places: Sequence[str], root: Path | None) -> pa.ChunkedArray:
    """Bring a column of pictures into one form; nothing is opened yet. Arguments as of `media.columns.column`."""
    return columns.column(values, places, root, PICTURES)


def name(picture: Mapping[str, Any]) -> str:
    """Return the name of a picture in messages: its file's name, else its size."""
    return columns.name(picture, f"{picture.get('width')} × {picture.get('height')} pixels")
