"""The rows on which a layer is chosen, and those on which it is measured."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.commands.explain.translations import _one_half


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_a_unit_is_in_one_half_and_two_units_fill_both(units: list[int]) -> None:
    half = _one_half(np.array(units))
    assert all(len({bool(half[place]) for place, unit in enumerate(units) if unit == one}) == 1 for one in set(units))
    assert len(set(half.tolist())) == min(2, len(set(units)))


def test_independent_rows_alternate() -> None:
    assert _one_half(np.arange(5)).tolist() == [True, False, True, False, True]
