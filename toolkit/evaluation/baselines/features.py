"""What baselines learn from: the target, texts, pictures of a few pixels, and bands of recordings."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.audio import decoding as audio_decoding
from toolkit.data.audio.log_mel import log_mel
from toolkit.data.images import image_decoding

SMALL = 12  # pixels
RATE = 16_000  # samples a second of the recordings that are compared
CHUNK = 10_000  # rows that are predicted at a time

Floats = np.ndarray[Any, np.dtype[np.float64]]


def target(rows: pa.Table) -> list[Any]:
    """Return the column of the target: `label`, or `labels` where a row has several classes."""
    values: list[Any] = rows["label" if "label" in rows.column_names else "labels"].to_pylist()
    return values


def chunks(rows: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows, some at a time."""
    return (rows.slice(start, CHUNK) for start in range(0, rows.num_rows, CHUNK))


def at_most(rows: pa.Table, most: int) -> pa.Table:
    """Return the rows, or `most` of them drawn at random."""
    if rows.num_rows <= most:
        return rows
    return rows.take(np.sort(np.random.default_rng(0).choice(rows.num_rows, most, replace=False)))


def pixels(rows: pa.Table) -> Floats:
    """Return each picture as numbers from 0 to 1. Shape (N, 12 × 12 × 3)."""

    def small(group: Sequence[Any]) -> list[Any]:
        images = (image_decoding.decode(picture, sys.maxsize) for picture in group)
        return [np.asarray(i.resize((SMALL, SMALL), reducing_gap=2.0), np.float64).ravel() / 255 for i in images]

    pictures = (rows["image"].slice(start, CHUNK // 20).to_pylist() for start in range(0, rows.num_rows, CHUNK // 20))
    return np.array([numbers for chunk in pictures for numbers in image_decoding.in_groups(chunk, small)])


def log_mel_statistics(rows: pa.Table) -> Floats:
    """Return the mean and the deviation over time of each log-mel band of each recording. Shape (N, 2 × BANDS)."""

    def statistics(recording: Any) -> Any:
        bands = log_mel(*audio_decoding.decode(recording, sys.maxsize, RATE))  # (frames, BANDS)
        return np.concatenate([bands.mean(axis=0), bands.std(axis=0)])

    parts = (rows["audio"].slice(start, CHUNK // 20).to_pylist() for start in range(0, rows.num_rows, CHUNK // 20))
    return np.array([vector for part in parts for vector in audio_decoding.in_groups(part, statistics)])


def texts(rows: pa.Table) -> list[str]:
    """Return the text of each row, with the second one behind it where there are two."""
    first: list[str] = rows["text"].to_pylist()
    if "text_pair" not in rows.column_names:
        return first
    return [f"{a} {b or ''}" for a, b in zip(first, rows["text_pair"].to_pylist(), strict=True)]
