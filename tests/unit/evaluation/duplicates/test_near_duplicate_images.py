"""Copies of training pictures are found after changes to their files, and merely similar pictures are not."""

import numpy as np
import pyarrow as pa
import pytest

from tests.support.pictures import encoded
from toolkit.data.images.image_columns import TYPE
from toolkit.evaluation.duplicates import near_duplicate_images
from toolkit.evaluation.duplicates.near_duplicate_images import THRESHOLD, _describe, summary


def scene(seed: int):
    """Return a picture of coloured boxes on noise."""
    from PIL import Image

    random = np.random.default_rng(seed)
    values = random.integers(90, 150, (48, 64, 3))
    for _ in range(9):
        top, left = random.integers(0, 40), random.integers(0, 56)
        values[top : top + 12, left : left + 12] = random.integers(0, 255, 3)
    return Image.fromarray(values.astype(np.uint8))


def column(images, kind="PNG", **settings) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([{"bytes": encoded(image, kind, **settings)} for image in images], TYPE)])


def find(train, test):
    return near_duplicate_images.find(summary(train), test)


def brighter(image):
    from PIL import ImageEnhance

    return ImageEnhance.Brightness(image).enhance(1.2)


@pytest.mark.parametrize(
    "change",
    [lambda image: image.resize((40, 30)), brighter, lambda image: image.resize((200, 150))],
    ids=["smaller", "brighter", "larger"],
)
def test_planted_copies_are_found_and_nothing_else(change):
    train = column([scene(seed) for seed in range(40)])
    test = [scene(100 + seed) for seed in range(30)]
    test[4], test[20] = change(scene(7)), change(scene(31))
    for kind, settings in (("PNG", {}), ("JPEG", {"quality": 60})):
        pairs = find(train, column(test, kind, **settings))
        assert {(pair.test, pair.train) for pair in pairs} == {(4, 7), (20, 31)}
        assert all(0.85 <= pair.similarity <= 1 for pair in pairs)


def shirt(seed: int):
    """Return an ellipse in the middle of an empty ground, with a faint pattern of its own."""
    from PIL import Image

    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:28j, -1:1:28j]
    inside = (rows / 0.9) ** 2 + (columns / 0.6) ** 2 < 1
    pattern = np.kron(random.normal(0, 20, (14, 14)), np.ones((2, 2)))
    return Image.fromarray((inside * (170 + pattern)).clip(0, 255).astype(np.uint8)).convert("RGB")


def test_similar_pictures_are_no_duplicates():
    train, test = [shirt(seed) for seed in range(300)], [shirt(1000 + seed) for seed in range(60)]
    likeness = _describe(summary(column(train)).to_pylist()).likeness(_describe(summary(column(test)).to_pylist()))
    assert likeness.min() > THRESHOLD
    assert find(column(train), column(test)) == []
    test[9] = train[33]
    assert [(pair.test, pair.train) for pair in find(column(train), column(test))] == [(9, 33)]


def test_incomparable_pictures_have_no_similarity():
    from PIL import Image

    flat, tiny = Image.new("RGB", (30, 30), "red"), scene(1).resize((8, 8))
    damaged = pa.chunked_array([pa.array([{"bytes": b"\x89PNG"}, None], TYPE)])
    for odd in (column([flat, flat]), column([tiny, tiny]), damaged):
        assert find(odd, odd) == []
    assert find(column([scene(1)]), column([])) == []


def test_chunks_make_no_difference(monkeypatch):
    train, test = [scene(seed) for seed in range(23)], [scene(seed) for seed in range(15, 35)]
    whole = find(column(train), column(test))
    assert {(pair.test, pair.train) for pair in whole} == {(number, 15 + number) for number in range(8)}
    monkeypatch.setattr(near_duplicate_images, "_CHUNK", 7)
    pieces = find(column(train), column(test))
    assert {(pair.test, pair.train) for pair in pieces} == {(pair.test, pair.train) for pair in whole}
