import numpy as np
import pytest

from toolkit.evaluation.selection import uncertainty


def test_margin_of_one_class():
    values = uncertainty.margin([[0.5, 0.5, 0.0], [0.9, 0.05, 0.05], [1.0, 0.0, 0.0]])
    assert values == pytest.approx([1.0, 0.15, 0.0])


def test_spread_counts_the_distance_of_stars():
    near, far, sure = uncertainty.spread([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    assert (near, far, sure) == pytest.approx((0.5, 1.0, 0.0))


def test_entropy_of_several_classes():
    unsure, sure, one = uncertainty.entropy([[0.5, 0.5], [0.0, 1.0], [0.5, 1.0]])
    assert unsure == pytest.approx(2 * np.log(2))
    assert sure == pytest.approx(0, abs=1e-9)
    assert one == pytest.approx(np.log(2))
