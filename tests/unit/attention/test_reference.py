"""The equations compared with torch, with real layers, and with their mathematical properties."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import models
from toolkit.attention import reference

SIZES = st.tuples(*[st.integers(1, 6)] * 5)
SEEDS = st.integers(0, 2**31)


def attention_inputs(sizes, seed, density=0.5):
    """Random Q, K, V, and a mask with this share of True, in which a query may have nothing to attend to."""
    batch, heads, queries, keys, width = sizes
    random = torch.Generator().manual_seed(seed)
    query = torch.randn(batch, heads, queries, width, generator=random) * 3
    key, value = torch.randn(2, batch, heads, keys, width, generator=random)
    return query, key, value, torch.rand(batch, 1, queries, keys, generator=random) < density


@given(SIZES, SEEDS, st.floats(0, 1))
def test_it_equals_torch(sizes, seed, density):
    query, key, value, mask = attention_inputs(sizes, seed, density)
    steps = reference.scaled_dot_product(query, key, value, mask=mask)
    theirs = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    torch.testing.assert_close(steps.output, theirs, atol=1e-5, rtol=1e-5)


@given(SIZES, SEEDS, st.floats(0, 1))
def test_rows_sum_to_one_and_masked_keys_get_nothing(sizes, seed, density):
    query, key, value, mask = attention_inputs(sizes, seed, density)
    weights = reference.scaled_dot_product(query, key, value, mask=mask).weights
    looks = mask.any(dim=-1).expand(weights.shape[:-1]).float()
    torch.testing.assert_close(weights.sum(dim=-1), looks)
    assert (weights.masked_select(~mask.expand(weights.shape)) == 0).all()


@given(SIZES, SEEDS)
def test_attention_ignores_key_order_without_positions(sizes, seed):
    query, key, value, _ = attention_inputs(sizes, seed)
    order = torch.randperm(key.shape[2], generator=torch.Generator().manual_seed(seed))
    straight = reference.scaled_dot_product(query, key, value).output
    shuffled = reference.scaled_dot_product(query, key[:, :, order], value[:, :, order]).output
    torch.testing.assert_close(straight, shuffled, atol=1e-5, rtol=1e-5)


@given(SEEDS)
def test_without_positions_shuffled_tokens_give_the_same_shuffled(seed):
    random = torch.Generator().manual_seed(seed)
    pairs = [(torch.randn(6, 6, generator=random) / 2, None) for _ in range(4)]
    tokens = torch.randn(2, 5, 6, generator=random)
    order = torch.randperm(5, generator=random)
    projections = reference.Projections(*pairs)
    straight, _ = reference.multi_head(tokens, tokens, projections, heads=3)
    shuffled, _ = reference.multi_head(tokens[:, order], tokens[:, order], projections, heads=3)
    torch.testing.assert_close(straight[:, order], shuffled, atol=1e-5, rtol=1e-5)


def test_additive_and_boolean_masks_agree():
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, 5, 4)
    allowed = reference.causal_mask(5)
    added = torch.zeros(5, 5).masked_fill(~allowed, torch.finfo(torch.float32).min)
    first = reference.scaled_dot_product(query, key, value, mask=allowed)
    other = reference.scaled_dot_product(query, key, value, mask=added)
    torch.testing.assert_close(first.weights, other.weights)


def test_masks():
    assert reference.causal_mask(2, 3).tolist() == [[True, True, False], [True, True, True]]
    assert reference.padding_mask(torch.tensor([[1, 1, 0]])).tolist() == [[[[True, True, False]]]]


@pytest.mark.parametrize("crossing", [False, True], ids=["self", "cross"])
def test_several_heads_equal_torch(crossing):
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    inputs, memory = torch.randn(2, 4, 12), torch.randn(2, 5, 12)
    memory = memory if crossing else inputs
    matrices, offsets = theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.chunk(3)
    pairs = [*zip(matrices, offsets, strict=True), (theirs.out_proj.weight, theirs.out_proj.bias)]
    tokens, weights = reference.multi_head(inputs, memory, reference.Projections(*pairs), heads=3)
    expected, expected_weights = theirs(inputs, memory, memory, average_attn_weights=False)
    torch.testing.assert_close(tokens, expected)
    torch.testing.assert_close(weights, expected_weights)


def test_it_equals_a_layer_of_bert():
    model, batch = models.make("bert")
    model.set_attn_implementation("eager")
    outputs = model(**batch, output_attentions=True, output_hidden_states=True)
    layer = model.bert.encoder.layer[1].attention
    ours = layer.self
    parts = (ours.query, ours.key, ours.value, layer.output.dense)
    projections = reference.Projections(*((part.weight, part.bias) for part in parts))
    inputs = outputs.hidden_states[1]
    mask = reference.padding_mask(batch["attention_mask"])
    tokens, weights = reference.multi_head(inputs, inputs, projections, heads=4, mask=mask)
    torch.testing.assert_close(weights, outputs.attentions[1])
    torch.testing.assert_close(layer.output.LayerNorm(tokens + inputs), layer(inputs, torch.where(mask, 0.0, -1e30))[0])


# family → (the class of its attention, the names of its projections: queries, keys, values, output)
LAYERS = {
    "distilbert": ("DistilBertSelfAttention", "q_lin", "k_lin", "v_lin", "out_lin"),
    "vit": ("ViTAttention", "q_proj", "k_proj", "v_proj", "o_proj"),
    "marian": ("MarianAttention", "q_proj", "k_proj", "v_proj", "out_proj"),
    "t5": ("T5Attention", "q", "k", "v", "o"),
}


@pytest.mark.parametrize("family", LAYERS)
def test_it_equals_every_layer_of_other_families(family):
    """Self-attention, padded and causal, and cross-attention; T5 adds biases for positions and does not scale."""
    kind, *names = LAYERS[family]
    model, batch = models.make(family)
    model.set_attn_implementation("eager")
    calls = []

    def note(module, arguments, keywords, output):
        calls.append((module, arguments[0] if arguments else keywords["hidden_states"], keywords, output))

    for module in model.modules():
        if type(module).__name__ == kind:
            module.register_forward_hook(note, with_kwargs=True)
    with torch.no_grad():
        model(**batch)
    crossing = 0
    for module, inputs, keywords, (theirs, *bias, weights) in calls:
        memory = keywords.get("key_value_states")
        crossing += memory is not None
        parts = (getattr(module, name) for name in names)
        ours, our_weights = reference.multi_head(
            inputs,
            inputs if memory is None else memory,
            reference.Projections(*((part.weight, part.bias) for part in parts)),
            heads=4,
            mask=keywords.get("attention_mask", keywords.get("mask")),
            bias=bias[0] if bias else None,
            scale=1.0 if family == "t5" else None,
        )
        torch.testing.assert_close(our_weights, weights, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    both_ways = family in ("marian", "t5")
    assert (len(calls), crossing) == ((6, 2) if both_ways else (2, 0))


def test_sinusoids_are_those_of_marian():
    """Marian keeps the sines in the first half of the columns and the cosines in the second."""
    from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

    table = MarianSinusoidalPositionalEmbedding(20, 8)
    ours = reference.sinusoidal_positions(20, 8)
    torch.testing.assert_close(torch.cat([ours[:, 0::2], ours[:, 1::2]], dim=1), table.create_weight())


def test_learned_positions_are_looked_up():
    table = torch.randn(7, 3)
    positions = torch.tensor([[2, 0], [6, 6]])
    expected = torch.nn.functional.embedding(positions, table)
    assert torch.equal(reference.learned_positions(table, positions), expected)


def test_rotary_positions_are_those_of_llama():
    """Llama turns number i with number i + D / 2 where the paper turns 2i with 2i + 1."""
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    config = models.llama().config
    torch.manual_seed(0)
    query, key = torch.randn(2, 2, 4, 6, config.head_dim)
    positions = torch.arange(6)
    cos, sin = LlamaRotaryEmbedding(config)(query, positions[None])
    columns = torch.arange(config.head_dim).view(2, -1).T.flatten()  # 0, D/2, 1, D/2 + 1, …
    for heads, theirs in zip((query, key), apply_rotary_pos_emb(query, key, cos, sin), strict=True):
        ours = reference.rotary_positions(heads[..., columns], positions, base=10_000.0)
        torch.testing.assert_close(ours, theirs[..., columns])


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 100))
def test_rotary_scores_depend_on_the_distance_alone(first, second, shift):
    random = torch.Generator().manual_seed(first * 51 + second)
    query, key = torch.randn(2, 1, 8, generator=random)

    def score(at, to):
        requested = reference.rotary_positions(query, torch.tensor([at]))
        return requested @ reference.rotary_positions(key, torch.tensor([to])).T

    torch.testing.assert_close(score(first, second), score(first + shift, second + shift), atol=1e-3, rtol=1e-3)


def test_shared_keys_are_repeated_in_groups():
    heads = torch.arange(2.0).view(1, 2, 1, 1)
    assert reference.share_keys(heads, 4).flatten().tolist() == [0, 0, 1, 1]
