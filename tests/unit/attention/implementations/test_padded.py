"""Padded attention in plain products is SDPA's, output and gradient, with every kind of mask."""

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tests.support import models
from toolkit.attention.implementations import padded
from toolkit.attention.implementations.sequences import Now

ROWS, HEADS, QUERIES, KEYS, WIDTH = 3, 2, 5, 7, 4


class Module(torch.nn.Module):
    def __init__(self, causal):
        super().__init__()
        self.is_causal = causal


def masks(kind):
    looks = torch.ones(ROWS, 1, QUERIES, KEYS, dtype=torch.bool)
    looks[1, ..., 4:] = False
    return {"none": None, "which": looks, "added": torch.zeros(looks.shape).masked_fill(~looks, -1e9)}[kind]


@pytest.fixture(autouse=True)
def spelt_out(monkeypatch):
    """In 32 bits and without dropout SDPA is not slow, and would be taken."""
    monkeypatch.setattr(Now, "kernel", "products")


@pytest.mark.parametrize("mask", ["none", "which", "added"])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scaling", [None, 1.0])
def test_output_and_gradients_are_sdpas(mask, biased, causal, scaling):
    torch.manual_seed(0)
    shapes = [(ROWS, HEADS, QUERIES, WIDTH), (ROWS, HEADS, KEYS, WIDTH), (ROWS, HEADS, KEYS, WIDTH)]
    bias = torch.randn(1, HEADS, QUERIES, KEYS)
    results = []
    for attend in (sdpa_attention_forward, padded.attention):
        torch.manual_seed(1)
        leaves = [torch.randn(shape, requires_grad=True) for shape in shapes]
        learnt = bias.clone().requires_grad_()
        # the second call shares the bias, as the layers of a stack do
        total, added = torch.zeros(()), learnt * 1.0
        for _ in range(2):
            given = {"position_bias": added} if biased else {}
            attended, weights = attend(Module(causal), *leaves, masks(mask), scaling=scaling, **given)
            assert weights is None and attended.is_contiguous()
            total = total + attended.square().sum()
        total.backward()
        results.append([attended, *(leaf.grad for leaf in leaves), *([learnt.grad] if biased else [])])
    for item, other in zip(*results, strict=True):
        torch.testing.assert_close(item, other, rtol=1e-4, atol=5e-5)


@pytest.mark.parametrize("family", ["t5", "marian", "mbart", "m2m100"])
def test_models_compute_the_same_and_are_given_back(family):
    model, _ = models.make(family)
    model.eval()
    ids, mask = torch.randint(3, models.WORDS, (4, 7)), torch.ones(4, 7, dtype=torch.long)
    mask[1:3, 4:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": torch.randint(3, models.WORDS, (4, 6))}

    def taken():
        model.zero_grad()
        model(**inputs).loss.backward()
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    own = model.config._attn_implementation
    expected = taken()
    with padded.products(model):
        assert model.config._attn_implementation == padded.NAME
        result = taken()
    assert model.config._attn_implementation == own == "sdpa"
    for item, other in zip(result, expected, strict=True):
        torch.testing.assert_close(item, other, rtol=1e-3, atol=1e-5)


def test_training_dropout_is_used():
    rates = []

    def drop(weights, rate):
        rates.append((tuple(weights.shape), rate))
        return weights

    model, _ = models.make("t5")
    model.train()
    inputs = {"input_ids": torch.randint(3, models.WORDS, (2, 7)), "labels": torch.randint(3, models.WORDS, (2, 6))}
    with padded.products(model, drop):
        model(**inputs)
    assert {shape for shape, _ in rates} == {(2, 4, 7, 7), (2, 4, 6, 6), (2, 4, 6, 7)}
    assert {rate for _, rate in rates} == {model.config.dropout_rate} != {0.0}
    assert Now.drop is None
