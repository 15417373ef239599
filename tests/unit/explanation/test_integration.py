"""Steps are doubled until the sum of integrated gradients is right."""

import pytest
import torch

from toolkit.explanation import integration


def test_steps_are_doubled_until_the_sum_is_right():
    used = []

    def attribute(steps):
        used.append(steps)
        missed = 2.0 / steps  # of a difference of 5
        return torch.tensor([[2.0, 3.0 + missed]]), torch.tensor([missed])

    values, error = integration.converged(attribute)
    assert used == [16, 32, 64]
    assert error == pytest.approx(2 / 64 / 5)
    assert float(values.sum()) == pytest.approx(5, rel=0.01)


def test_a_function_without_end_of_detail_keeps_its_error():
    used = []

    def attribute(steps):
        used.append(steps)
        return torch.tensor([[0.02]]), torch.tensor([0.02])

    _, error = integration.converged(attribute)
    assert used[-1] == integration.MOST
    assert error == pytest.approx(0.2)  # the difference is 0, and counts as the least one
