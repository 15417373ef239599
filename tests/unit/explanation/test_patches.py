"""Pictures as patches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.explanation.patches import Picture, fitting, hit


def picture(height=12, width=12, grid=(3, 4)):
    pixels = np.random.default_rng(0).integers(0, 256, (3, height, width)).astype(np.uint8)
    return Picture("a.png", pixels, grid, 1)


def test_hidden_patches_have_the_mean_colour_and_the_others_stay():
    first = picture()
    np.testing.assert_array_equal(first.keep(range(12))["pixel_values"], first.pixels)
    without = first.keep(set(range(12)) - {5})["pixel_values"]
    np.testing.assert_array_equal(without[:, 4:8, 3:6], np.broadcast_to(first.mean, (3, 4, 3)))
    assert (without != first.pixels).any(axis=0).sum() <= 12


@given(st.integers(8, 40), st.integers(8, 40), st.integers(1, 8), st.integers(1, 8))
def test_every_pixel_and_every_patch_counts_once(height, width, rows, columns):
    first = picture(height, width, (rows, columns))
    assert first.by_pixel(np.ones((height, width))).sum() == height * width
    assert sorted(place for block in first.blocks() for place in block) == list(range(rows * columns))
    assert len(first.words) == rows * columns


@pytest.mark.parametrize(
    ("tokens", "side", "found"),
    [(197, 224, ((14, 14), 1)), (198, 224, ((14, 14), 2)), (261, 224, ((16, 16), 5)), (65, 32, ((8, 8), 1))],
)
def test_tokens_are_laid_on_the_picture(tokens, side, found):
    assert fitting(tokens, side, side) == found


def test_the_pointing_game():
    scores = np.zeros(16)
    scores[6] = 1  # row 2, column 3
    assert hit(scores, (4, 4), (0.5, 0.25, 0.75, 0.5))
    assert not hit(scores, (4, 4), (0.0, 0.0, 0.5, 0.5))
