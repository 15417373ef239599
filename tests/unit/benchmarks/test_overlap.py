"""Gradients are exchanged while the backward pass goes on."""

import pytest

from benchmarks import overlap


@pytest.mark.slow
def test_exchanges_begin_before_the_last_gradient() -> None:
    arguments = ("--steps", "2", "--layers", "6")
    result = overlap.summary(overlap.measure(arguments), overlap.parse(arguments))
    assert result["buckets"] >= 3
    assert result["begun_during_backward"] == result["buckets"] - 1  # the last gradient completes the last bucket
