"""Heads: their importance is a gradient, a zeroed one has no effect, and a model without it predicts the same."""

import copy

import numpy as np
import pytest
import torch

from tests.support import models
from tests.support.errors import refused
from toolkit.attention import heads
from toolkit.errors import ModelError

FAMILIES = ["bert", "distilbert", "roberta", "vit"]


def made(family):
    model, batch = models.make(family)
    return model, {**batch, "labels": torch.tensor([0, 1])}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_without_heads_answers_as_one_with_zeroed_ones(family, tmp_path):
    model, batch = made(family)
    pruned = {0: [1, 3], 1: [0]}
    with torch.no_grad():
        whole = model(**batch).logits
        heads.zero(heads.find(model, batch), pruned)
        zeroed = model(**batch).logits
        assert not torch.allclose(whole, zeroed, atol=1e-3)
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path).eval()
        torch.testing.assert_close(again(**batch).logits, zeroed)
        before = sum(p.numel() for p in again.parameters())
        assert heads.slimmed(again, heads.inputs_for(again), pruned)
        torch.testing.assert_close(again(**batch).logits, zeroed, atol=1e-4, rtol=1e-4)
    assert before - sum(p.numel() for p in again.parameters()) == 3 * (4 * 4 * 16 + 3 * 4)  # D × E in four matrices
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("family", FAMILIES)
def test_importance_is_the_gradient_of_a_gate(family):
    """A gate of 1 + e on one head changes the loss by e times the gradient, example by example."""
    model, batch = made(family)
    layers = heads.find(model, batch)
    result = heads.importance(model, layers, [batch])
    expected = np.zeros(4)
    step = 1e-3
    for head in range(4):
        for row in range(2):
            items = {name: values[row : row + 1] for name, values in batch.items()}
            losses = []
            for factor in (1 + step, 1 - step):
                changed = copy.deepcopy(model).double()
                weight = heads.find(changed, items)[1].output.weight
                weight.data[:, 4 * head : 4 * head + 4] *= factor
                items = {name: v.double() if v.is_floating_point() else v for name, v in items.items()}
                losses.append(changed(**items).loss.item())
            expected[head] += abs(losses[0] - losses[1]) / (2 * step)
    np.testing.assert_allclose(result[1], expected / np.linalg.norm(expected), atol=2e-3)
    assert result[0].shape == (4,)


def test_one_head_of_each_layer_stays():
    values = [np.array([0.1, 0.2, 0.9]), np.array([0.5, 0.05])]
    assert heads.order(values) == [(1, 1), (0, 0), (0, 1)]
    assert heads.by_layer([(1, 1), (0, 2), (0, 0)]) == {0: [0, 2], 1: [1]}


def test_unprunable_model_is_unchanged():
    model, batch = made("modernbert")  # one matrix makes its queries, keys and values
    pruned = {0: [1]}
    heads.zero(heads.find(model, batch), pruned)
    with torch.no_grad():
        before = model(**batch).logits
        assert not heads.slimmed(model, batch, pruned)
        assert torch.equal(model(**batch).logits, before)


def test_a_family_that_counts_on_its_heads_is_put_back(monkeypatch):
    model, batch = made("bert")
    pruned = {0: [1]}
    heads.zero(heads.find(model, batch), pruned)
    shapes = {name: p.shape for name, p in model.named_parameters()}
    with torch.no_grad():
        before = model(**batch).logits
        real = heads.slim

        def wrong(layers, pruned):
            return real(layers, {0: [2]})

        monkeypatch.setattr(heads, "slim", wrong)
        assert not heads.slimmed(model, batch, pruned)
        assert torch.equal(model(**batch).logits, before)
    assert {name: p.shape for name, p in model.named_parameters()} == shapes


def test_families_with_attention_of_their_own_are_refused():
    from transformers import ConvBertConfig, ConvBertForSequenceClassification

    config = ConvBertConfig(
        vocab_size=50,
        hidden_size=16,
        embedding_size=16,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=8,
    )
    model = ConvBertForSequenceClassification(config)
    with refused(ModelError, "model.attention-unsupported"):
        heads.find(model, {"input_ids": torch.tensor([[1, 2]])})
