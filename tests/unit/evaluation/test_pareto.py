"""The Pareto front of models."""

from hypothesis import given
from hypothesis import strategies as st

from toolkit.evaluation.pareto import front

points = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=8)


def test_smaller_and_worse_models_stay_beside_larger_and_better_ones():
    assert front([10, 5, 7, 12], [0.9, 0.8, 0.7, 0.9], upward=True) == [True, True, False, False]
    assert front([10, 5], [0.3, 0.3], upward=False) == [False, True]


@given(points)
def test_each_model_off_the_front_is_beaten_by_one_on_it(points):
    costs, values = [cost for cost, _ in points], [value for _, value in points]
    on = front(costs, values, upward=True)
    assert any(on)
    best = [point for point, kept in zip(points, on, strict=True) if kept]
    for (cost, value), kept in zip(points, on, strict=True):
        beaten = any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in best)
        assert beaten != kept
