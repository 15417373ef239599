"""Test pictures that are near-duplicates of training pictures.

Pictures are compared at 16 × 16 pixels by the correlation of their colours (Pearson): once as a whole, and
once without the means of 4 × 4 pixels, which leaves the detail. The lower of the two is their similarity. So a
copy is found when it was saved again, resized or made brighter, and not when it was mirrored or much cropped. Where
all pictures are similar, such as clothes on an empty background, that alone would find copies everywhere: a pair counts
only if it is also much closer than pictures of this data usually are (after Lowe 2004, "Distinctive Image Features from
Scale-Invariant Keypoints", section 7.1).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.images import image_decoding
from toolkit.evaluation.duplicates.near_duplicates import Pair

THRESHOLD = 0.85  # similarity from which two pictures are near-duplicates
NEARER = 0.3  # and how far they may be from each other, as a share of the distance to the tenth nearest
USUAL = 10
SIDE, BLOCK = 16, 4  # pixels
LEAST = 16  # pixels of a picture's shorter side: smaller pictures have too little detail
MOST_COMPARED = 2_000_000_000  # pairs of pictures; more would take minutes
FLAT = 1.0  # a picture with less detail counts as uniform
_CHUNK = 1024  # pictures at a time
_SMALL = pa.binary(SIDE * SIDE * 3)

Floats = np.ndarray[Any, np.dtype[np.float32]]


def reduced(picture: Mapping[str, Any]) -> image_decoding.Pixels | None:
    """Return a picture at 16 × 16 pixels (16, 16, 3); None for one that is smaller, or can no longer be read."""
    from PIL import Image

    try:
        with image_decoding.opened(picture, most_pixels=2**62) as image:
            if min(image.size) < LEAST:
                return None
            image.draft("RGB", (8 * SIDE, 8 * SIDE))  # a JPEG is decoded at a fraction of its size
            seen = image_decoding.as_seen(image)
    except image_decoding.UnreadableError:
        return None
    return np.asarray(seen.resize((SIDE, SIDE), Image.Resampling.BOX), np.uint8)


@dataclass(frozen=True)
class _Descriptors:
    """Descriptors of pictures; those of a picture that cannot be compared are zero, with similarity 0 to all.

    Attributes:
        coarse: Means of blocks, of length 1 together with the detail. Shape (N, 48).
        detail: What is left of the pixels without these means, of length 1. Shape (N, 768).
        share: Length of the detail in that of the whole. Shape (N, 1).
    """

    coarse: Floats
    detail: Floats
    share: Floats

    def likeness(self, other: "_Descriptors") -> Floats:
        """Return the similarity of the N pictures to the M others: the lower of both correlations. Shape (N, M).

        Means and details are orthogonal, so the product of the whole vectors is the sum of the products of these two.
        """
        detail = self.detail @ other.detail.T
        likeness: Floats = np.minimum(detail, self.coarse @ other.coarse.T + self.share * other.share.T * detail)
        return likeness


def summary(pictures: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the bytes of each picture at 16 × 16 pixels; missing for those that cannot be compared."""
    parts = []
    for chunk in _chunks(pictures):
        small = image_decoding.in_groups(chunk, lambda group: [reduced(row or {}) for row in group])
        parts.append(pa.array([None if picture is None else picture.tobytes() for picture in small], _SMALL))
    return pa.chunked_array(parts, _SMALL)


def _describe(small: Sequence[bytes | None]) -> _Descriptors:
    empty = bytes(SIDE * SIDE * 3)
    values = np.frombuffer(b"".join(picture or empty for picture in small), np.uint8).astype(np.float32)
    values = values.reshape(-1, SIDE, SIDE, 3)
    values -= values.mean(axis=(1, 2, 3), keepdims=True)
    blocks = values.reshape(-1, SIDE // BLOCK, BLOCK, SIDE // BLOCK, BLOCK, 3)
    means = blocks.mean(axis=(2, 4), keepdims=True)
    detail = (blocks - means).reshape(len(values), -1)
    coarse = BLOCK * means.reshape(len(values), -1)  # as long as blocks filled with their means
    length = np.linalg.norm(detail, axis=1, keepdims=True)
    whole = np.hypot(length, np.linalg.norm(coarse, axis=1, keepdims=True))
    usable = length > FLAT
    return _Descriptors(
        *(
            np.divide(part, over, out=np.zeros_like(part), where=usable)
            for part, over in ((coarse, whole), (detail, length), (length, whole))
        )
    )


def find(train: pa.ChunkedArray, test: pa.ChunkedArray) -> list[Pair]:
    """Return for each test picture the most similar training picture, where one is a near-duplicate.

    Args:
        train: The summary of the pictures that were learned from.
        test: Held-out pictures.
    """
    looked = [_describe(chunk) for chunk in _chunks(summary(test))]
    rows = len(test)
    nearest = np.full((rows, USUAL), -1.0, np.float32)  # similarity of the most similar, the highest last
    best = np.zeros(rows, np.int64)
    for number, chunk in enumerate(_chunks(train)):
        learned = _describe(chunk)
        for start, held in enumerate(looked):
            part = slice(start * _CHUNK, (start + 1) * _CHUNK)
            alike = held.likeness(learned)
            place, top = alike.argmax(axis=1), alike.max(axis=1)
            better = top > nearest[part, -1]
            best[part][better] = number * _CHUNK + place[better]
            kept = np.partition(alike, -USUAL, axis=1)[:, -USUAL:] if alike.shape[1] > USUAL else alike
            nearest[part] = np.sort(np.concatenate([nearest[part], kept], axis=1), axis=1)[:, -USUAL:]
    usual = nearest[:, max(0, USUAL - math.ceil(len(train) / 2))]  # with few pictures, the median
    near = (nearest[:, -1] >= THRESHOLD) & (1 - nearest[:, -1] <= NEARER * (1 - usual))
    pairs = [Pair(int(row), int(best[row]), min(1.0, float(nearest[row, -1]))) for row in np.flatnonzero(near)]
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.test))


def _chunks(values: pa.ChunkedArray) -> Iterator[list[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values.slice(start, _CHUNK).to_pylist()
