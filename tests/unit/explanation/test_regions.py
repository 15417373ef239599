"""Regions: the box around the top patches, and how it is measured against a given one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toolkit.explanation import regions

GRID = (4, 5)


def scores(*patches: tuple[int, int, float]) -> np.ndarray:
    values = np.zeros(GRID)
    for row, column, value in patches:
        values[row, column] = value
    return values.ravel()


def test_the_box_holds_the_top_patch_and_what_is_connected_with_it():
    result = scores((1, 1, 1.0), (1, 2, 0.5), (2, 2, 0.3), (3, 4, 0.9), (0, 1, 0.1), (2, 1, -5.0))
    assert regions.region(result, GRID) == (
        1 / 5,
        1 / 4,
        3 / 5,
        3 / 4,
    )  # not what lies apart, or is weak


def test_where_nothing_speaks_for_the_class_the_box_is_one_patch():
    assert regions.region(-np.ones(20), GRID) == (0, 0, 1 / 5, 1 / 4)


def test_overlap_of_the_same_apart_and_half():
    assert regions.overlap((0, 0, 1, 1), (0, 0, 1, 1)) == 1
    assert regions.overlap((0, 0, 0.5, 1), (0.5, 0, 1, 1)) == 0
    assert regions.overlap((0, 0, 0.5, 1), (0, 0, 1, 1)) == pytest.approx(0.5)


@given(arrays(np.float64, GRID, elements=st.floats(-1, 1)))
def test_a_region_lies_in_the_picture_and_holds_its_top_patch(values):
    left, top, right, bottom = regions.region(values.ravel(), GRID)
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    row, column = divmod(int(np.clip(values, 0, None).argmax()), GRID[1])
    assert left <= (column + 0.5) / 5 <= right
    assert top <= (row + 0.5) / 4 <= bottom


@pytest.mark.parametrize("written", ["3 4 10 20", "3,4,10,20", "[3, 4, 10, 20]", [3, 4, 10, 20]])
def test_boxes_are_read_as_they_are_written(written):
    assert regions.read_box(written) == (3, 4, 10, 20)


@pytest.mark.parametrize("written", ["", "3 4 10", "a b c d", [10, 4, 3, 20], None, 7])
def test_what_is_no_box_is_none(written):
    assert regions.read_box(written) is None


def test_the_box_around_a_mask():
    mask = np.zeros((10, 20), bool)
    mask[2:4, 5:10] = True
    assert regions.around(mask) == (0.25, 0.2, 0.5, 0.4)
    assert regions.around(np.zeros((3, 3))) is None


def test_an_edge_within_a_pixel_stays_there():
    covered = np.outer([0, 1, 0.5, 0], [0.5, 1, 1, 0.5])
    assert regions.around(covered) == pytest.approx((0.125, 0.25, 0.875, 0.625))


def test_perfect_regions_are_told_from_the_middle():
    box = (0.0, 0.0, 1 / 5, 1 / 4)
    result = regions.evaluate([(scores((0, 0, 1.0)), GRID)] * 6, [box] * 6, confidence=0.95, resamples=200, seed=0)
    assert (result["pictures"], result["pointing"]["value"], result["overlap"]["value"], result["found"]["value"]) == (
        6,
        1,
        1,
        1,
    )
    assert result["middle"]["value"] == 0
