"""Costs by the size of micro-batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.commands.plan.shapes import Cost, Shape, fit, micro_batches, powers_of_two, steps

LENGTHS = st.lists(st.integers(1, 512), min_size=1, max_size=64).map(lambda values: np.array(values, np.int64))


@given(LENGTHS, st.integers(1, 64), st.one_of(st.none(), st.integers(512, 4096)))
def test_micro_batches_hold_every_row_once(lengths: np.ndarray, micro: int, tokens: int | None) -> None:
    rows = np.arange(len(lengths))
    parts = micro_batches(rows, lengths, micro, tokens, padded=False)
    assert sum(part.examples for part in parts) == len(lengths)
    assert sum(part.tokens for part in parts) == lengths.sum()
    assert sum(part.pairs for part in parts) == (lengths**2).sum()
    assert all(part.examples <= micro for part in parts)


@given(LENGTHS)
def test_padding_is_never_less(lengths: np.ndarray) -> None:
    real, padded = (Shape.of(lengths, padded=padded) for padded in (False, True))
    assert padded.tokens >= real.tokens
    assert padded.pairs >= real.pairs
    assert padded.examples == real.examples


@given(st.tuples(*[st.floats(0, 1e3)] * 3))
def test_a_cost_of_that_form_is_found(factors: tuple[float, float, float]) -> None:
    true = Cost(fixed=1.0 + factors[0], token=factors[1], pair=factors[2] / 100)
    shapes = [Shape(n, n * length, n * length**2) for n in (1, 4, 8) for length in (8, 32, 128)]
    found = fit(shapes, [true.of(shape) for shape in shapes])
    unseen = Shape(32, 32 * 64, 32 * 64**2)
    assert found.of(unseen) == pytest.approx(true.of(unseen), rel=0.02)


def test_a_disturbed_measurement_is_left_out() -> None:
    true = Cost(fixed=0.1, token=1e-3)
    shapes = [Shape(n, n * length, n * length**2) for n in (4, 8, 16) for length in (8, 32, 128)]
    seconds = [true.of(shape) for shape in shapes]
    seconds[4] *= 20
    unseen = Shape(32, 32 * 64, 32 * 64**2)
    assert fit(shapes, seconds).of(unseen) == pytest.approx(true.of(unseen), rel=0.05)


@given(st.integers(1, 5000))
def test_micro_batch_sizes(most: int) -> None:
    sizes = powers_of_two(most)
    assert (sizes[0], sizes[-1]) == (most, 1)
    assert sizes == sorted(set(sizes), reverse=True)
    assert all(size & (size - 1) == 0 for size in sizes[1:])


def test_steps_are_those_of_training() -> None:
    lengths = np.arange(1, 101)
    planned = steps(lengths, 32, 7)
    assert sorted(np.concatenate(planned)) == list(range(100))
    assert sorted(map(len, planned)) == [4, 32, 32, 32]
