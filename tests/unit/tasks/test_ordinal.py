"""Ordered classes: the loss grows with the distance, and the prediction is the median."""

from types import SimpleNamespace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.tasks.targets.ordinal import cumulative, medians, predictions

LOGITS = st.lists(st.floats(-5, 5), min_size=3, max_size=6)


def loss(logits: list[float], truth: int) -> float:
    outputs = SimpleNamespace(logits=torch.tensor([logits]))
    return float(cumulative(len(logits)).mean(outputs, {"labels": torch.tensor([truth])}))


def test_the_loss_is_the_mean_log_loss_of_the_thresholds():
    logits = [0.3, -1.0, 0.7, 0.1]
    shares = np.exp(logits) / np.exp(logits).sum()
    below = np.cumsum(shares)[:-1]
    expected = -np.mean([np.log(1 - below[0]), np.log(below[1]), np.log(below[2])])  # truth is class 1
    np.testing.assert_allclose(loss(logits, 1), expected, rtol=1e-5)


def test_a_mistake_further_away_costs_more():
    sure_of_first = [6.0, 0.0, 0.0, 0.0, 0.0]
    losses = [loss(sure_of_first, truth) for truth in range(5)]
    assert losses == sorted(losses)


def test_its_gradient_is_finite_where_a_model_is_sure():
    logits = torch.tensor([[60.0, -60.0, -60.0]], requires_grad=True)
    value = cumulative(3).mean(SimpleNamespace(logits=logits), {"labels": torch.tensor([2])})
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


@given(LOGITS)
def test_the_median_has_the_least_expected_distance(logits):
    scores = np.exp(logits) / np.exp(logits).sum()
    classes = np.arange(len(scores))
    expected = [(scores * np.abs(classes - other)).sum() for other in classes]
    (median,) = medians(scores[None])
    assert expected[median] <= min(expected) + 1e-9


def test_predictions_hold_the_probabilities():
    columns = predictions(SimpleNamespace(logits=torch.tensor([[2.0, 0.0, 2.1]])), {})
    assert columns["prediction"] == [1]
    np.testing.assert_allclose(sum(columns["probabilities"][0]), 1.0)
