"""Explanations from attention weights, on cases that can be worked out by hand."""

import numpy as np
import pytest
import torch

from tests.support import models
from toolkit.explanation import attention
from toolkit.explanation.question import log_odds

UNIFORM = np.full((2, 3, 4, 4), 0.25)
FIRST = np.array([1.0, 0, 0, 0])


def test_uniform_attention_says_nothing():
    watched = attention.Watched(UNIFORM, UNIFORM, FIRST)
    np.testing.assert_allclose(attention.mean_attention(watched), 0.25)
    np.testing.assert_allclose(attention.last_attention(watched), 0.25)
    assert len(set(attention.rollout(watched)[1:].round(12))) == 1


def test_rollout_follows_a_chain():
    """Token 0 reads 1 in the second layer, which read 2 in the first: half of a half comes from 2."""
    first, second = np.eye(3), np.eye(3)
    first[1], second[0] = [0, 0, 1], [0, 1, 0]
    watched = attention.Watched(np.stack([first, second])[:, None], np.zeros((2, 1, 3, 3)), np.array([1.0, 0, 0]))
    np.testing.assert_allclose(attention.rollout(watched), [0.5, 0.25, 0.25])


def test_relevance_counts_what_speaks_for_the_class_alone():
    weights = np.full((1, 2, 2, 2), 0.5)
    gradients = np.zeros((1, 2, 2, 2))
    gradients[0, 0, 0] = [1.0, -1.0]
    watched = attention.Watched(weights, gradients, np.array([1.0, 0]))
    np.testing.assert_allclose(attention.relevance(watched), [0.25, 0])  # one of two heads, half of the weight


@pytest.mark.parametrize(("family", "places"), [("bert", 1), ("distilbert", 1), ("modernbert", 4)])
def test_the_rows_that_count_are_found(family, places):
    """BERT's head reads [CLS] alone; this ModernBERT's averages over all tokens."""
    model, batch = models.make(family)
    items = {name: tensor[1:, :4] for name, tensor in batch.items()}
    watched = attention.watch(model, items, 0)
    assert watched.weights.shape == watched.gradients.shape
    assert watched.readout.sum() == pytest.approx(1)
    assert (watched.readout > 1e-6).sum() == places
    assert watched.readout[0] > 1e-6


def test_rows_are_shares_and_the_gradient_is_that_of_the_odds():
    model, batch = models.make("bert")
    items = {name: tensor[:1] for name, tensor in batch.items()}
    watched = attention.watch(model, items, 1)
    np.testing.assert_allclose(watched.weights.sum(axis=-1), 1, atol=1e-5)
    for scores in (attention.mean_attention(watched), attention.last_attention(watched), attention.rollout(watched)):
        assert scores.sum() == pytest.approx(1, abs=1e-5)
    assert np.abs(watched.gradients[-1, :, 0]).max() > 0
    assert np.abs(watched.gradients[-1, :, 1:]).max() == 0  # of the last layer only the row of [CLS] is read


def test_log_odds():
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    probabilities = logits.softmax(dim=-1)[0, 1]
    assert log_odds(logits, 1).item() == pytest.approx((probabilities / (1 - probabilities)).log().item(), abs=1e-5)
