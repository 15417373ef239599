"""Sparse attention equals dense attention under the same mask, at the cost of the attended keys, without padding."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import attention
from tests.support import models
from tests.support.errors import refused
from toolkit.attention import forms, reference
from toolkit.attention.implementations import flex, sparse
from toolkit.attention.record import recording
from toolkit.errors import ConfigError, ModelError

FORMS = [
    "dense", "sliding-window:2", "sliding-window:6:0", "sliding-window:40:3", "block-sparse:2:1", "block-sparse:4",
    "block-sparse:16:0", "top-k:1", "top-k:3", "top-blocks:2:2", "top-blocks:4:3",
]  # fmt: skip
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 70), st.integers(1, 5))


def drawn(shape, seed, gradient=False):
    """Q, K, V of a shape, and which tokens are real: each text has at least one."""
    batch, _, length, _ = shape
    random = torch.Generator().manual_seed(seed)
    tensors = torch.randn(3, *shape, generator=random)
    lengths = torch.randint(1, length + 1, (batch,), generator=random)
    lengths[0] = length
    real = torch.arange(length) < lengths[:, None]
    return [tensor.requires_grad_(gradient) for tensor in tensors], real


@settings(max_examples=60)
@given(st.sampled_from(FORMS), st.integers(0, 3), SHAPES, st.integers(0, 2**31))
def test_it_equals_dense_attention_under_the_same_mask(name, layer, shape, seed):
    (query, key, value), real = drawn(shape, seed)
    (form,) = forms.parse(name)
    result = sparse.attention(form, layer, query, key, value, real)
    mask = forms.allowed(form, layer, query, key, real)
    expected = reference.scaled_dot_product(query, key, value, mask=mask).output
    rows = real[:, None, :, None]
    torch.testing.assert_close(result * rows, expected * rows, atol=1e-5, rtol=1e-4)


@settings(max_examples=60)
@given(st.sampled_from(FORMS), SHAPES, st.integers(1, 40), st.integers(0, 2**31))
def test_padding_changes_no_result(name, shape, more, seed):
    (query, key, value), _ = drawn(shape, seed)
    (form,) = forms.parse(name)
    real = torch.ones(shape[0], shape[2], dtype=torch.bool)
    alone = sparse.attention(form, 1, query, key, value, real)
    padded = [torch.nn.functional.pad(tensor, (0, 0, 0, more), value=9.0) for tensor in (query, key, value)]
    together = sparse.attention(form, 1, *padded, torch.nn.functional.pad(real, (0, more)))
    torch.testing.assert_close(together[:, :, : shape[2]], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "name", ["sliding-window:900000000000", "block-sparse:900000000000:900000000000", "top-blocks:900000000000:9000000"]
)
def test_a_reach_beyond_the_text_takes_no_memory(name):
    (query, key, value), real = drawn((2, 2, 7, 4), 1)
    (form,) = forms.parse(name)
    expected = sparse.attention(forms.Dense(), 0, query, key, value, real)
    rows = real[:, None, :, None]
    torch.testing.assert_close(sparse.attention(form, 0, query, key, value, real) * rows, expected * rows)
    assert (forms.allowed(form, 0, query, key, real) | ~real[:, None, None, :]).all()


@pytest.mark.parametrize("name", FORMS)
def test_gradients_are_those_of_dense_attention(name):
    tensors, real = drawn((2, 2, 37, 4), 5, gradient=True)
    (form,) = forms.parse(name)
    mask = forms.allowed(form, 0, *tensors[:2], real)
    rows = real[:, None, :, None]
    sparse_loss = (sparse.attention(form, 0, *tensors, real) * rows).square().sum()
    dense_loss = (reference.scaled_dot_product(*tensors, mask=mask).output * rows).square().sum()
    for ours, theirs in zip(
        torch.autograd.grad(sparse_loss, tensors), torch.autograd.grad(dense_loss, tensors), strict=True
    ):
        assert torch.isfinite(ours).all()
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "most"),
    [("dense", 2.01), ("sliding-window:32", 1.15), ("block-sparse:16:2", 1.15), ("top-blocks:64:3", 1.3)],
)
def test_cost_grows_with_attended_keys(name, most):
    short, long = attention.count(name, 512), attention.count(name, 2048)
    exponent = math.log(long / short) / math.log(4)
    assert exponent < most
    assert (exponent > 1.9) == (name == "dense")


@pytest.mark.parametrize("name", ["sliding-window:64", "sliding-window:300:0", "sliding-window:6:130"])
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_gets_the_same_mask(name):
    """What a GPU compiles, spelt out on the CPU: blocks that are skipped hold nothing that the mask allows."""
    from torch.nn.attention.flex_attention import flex_attention

    (query, key, value), real = drawn((2, 2, 300, 16), 3)
    (form,) = forms.parse(name)
    with torch.no_grad():
        result = flex.attention(form, query, key, value, real, None, flex_attention)
        allowed = forms.allowed(form, 0, query, key, real)
        expected = reference.scaled_dot_product(query, key, value, mask=allowed).output
    rows = real[:, None, :, None]
    torch.testing.assert_close(result * rows, expected * rows, atol=1e-5, rtol=1e-4)
    assert not flex.suits(query)  # on a CPU the blocked code computes
    blocks = flex._blocks(lambda *_: True, 300, form.window // 2, form.seers, "cpu").to_dense()[0, 0].bool()
    seen = allowed[real.all(dim=1)][0, 0].nonzero() // 128
    assert blocks[seen[:, 0], seen[:, 1]].all()


def test_what_the_forms_mean():
    def looks(name, length):
        (form,) = forms.parse(name)
        query = torch.zeros(1, 1, length, 2)
        mask = forms.allowed(form, 0, query, query, torch.ones(1, length, dtype=torch.bool))
        return mask.expand(1, 1, length, length)[0, 0].int().tolist()

    assert looks("sliding-window:2:0", 4) == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    assert looks("sliding-window:2:1", 4) == [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 1]]
    window = looks("block-sparse:2:0", 8)
    assert window[:2] == [[1] * 8] * 2
    assert window[7] == [1, 1, 0, 0, 1, 1, 1, 1]


def test_the_data_choose_the_keys():
    query = torch.tensor([[[[1.0, 0], [0, 1], [1, 1], [0, 0]]]])
    key = torch.tensor([[[[5.0, 0], [0, 5], [0, 0], [9, 9]]]])
    real = torch.tensor([[True, True, True, False]])
    (form,) = forms.parse("top-k:1")
    mask = forms.allowed(form, 0, query, key, real)[0, 0]
    assert mask[:2].tolist() == [[True, False, False, False], [False, True, False, False]]
    assert mask[2, 2]  # itself, beside its best


def test_random_blocks_differ_between_layers_and_nowhere_else():
    real = torch.ones(1, 256, dtype=torch.bool)
    form = forms.BlockSparse(8, 2)
    query = torch.zeros(1, 1, 256, 2)
    first, again, other = (forms.blocks_seen(form, layer, query, query, real) for layer in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "name", ["", "sliding", "sliding-window", "sliding-window:0", "sliding-window:8:1:1", "top-k:x", "dense:3",
             "top-blocks:4", "dense+", "block-sparse:-4"]
)  # fmt: skip
def test_unknown_form_is_rejected(name):
    known = name.partition(":")[0] in forms.ATTENTION_FORMS
    with refused(ConfigError, "config.malformed-value" if known else "config.unknown-choice"):
        forms.parse(name)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "vit"])
@pytest.mark.parametrize("name", ["sliding-window:64", "top-k:99", "block-sparse:64", "top-blocks:64:4"])
def test_full_window_equals_dense_attention(family, name):
    model, batch = models.make(family)
    with torch.no_grad():
        dense = model(**batch).logits
        sparse.use(model, name)
        torch.testing.assert_close(model(**batch).logits, dense, atol=1e-4, rtol=1e-4)


def test_layers_alternate_between_forms():
    model, _ = models.make("distilbert")
    sparse.use(model, "sliding-window:2:0+dense")
    ids = torch.arange(1, 11)[None]
    with torch.no_grad(), recording(model) as records:
        recorded = model(input_ids=ids).logits
    near = (torch.arange(10)[:, None] - torch.arange(10)).abs() <= 1
    first, second = (record.weights[0] for record in records)
    assert (first[:, ~near] == 0).all()
    assert (second > 0).all()
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, recorded, atol=1e-4, rtol=1e-4)


def test_a_copy_of_a_model_keeps_whose_turn_it_is():
    model, batch = models.make("bert")
    sparse.use(model, "dense+sliding-window:2:0")
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(model)(**batch).logits, model(**batch).logits)


@pytest.mark.parametrize("name", ["eager", "sdpa", "toolkit-record", "toolkit-packed", {"": "sdpa"}])
def test_other_implementations_are_not_sparse(name):
    assert sparse.used_by(name) is None


def test_dense_leaves_a_model_as_it_is():
    model, _ = models.make("bert")
    sparse.use(model, "dense")
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("family", ["llama", "t5", "marian", "modernbert"])
def test_models_that_attend_in_another_way_are_refused(family):
    model, batch = models.make(family)
    with refused(ModelError, "model.attention-unsupported"), torch.no_grad():
        sparse.use(model, "sliding-window:4")
        model(**batch)


def test_dropout_drops():
    model, batch = models.make("bert")
    sparse.use(model, "sliding-window:4")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    model.train()
    assert not torch.allclose(model(**batch).logits, model(**batch).logits)
