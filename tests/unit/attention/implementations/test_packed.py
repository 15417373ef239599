"""Batches without padding compute what padded ones compute: logits, loss and every gradient, family by family."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit import models
from toolkit.attention.implementations import packed, sequences, sparse
from toolkit.config.settings import AdapterConfig
from toolkit.data.batching.batch import pad
from toolkit.training.acceleration import fast_dropout
from toolkit.training.adaptation import adapters

LENGTHS = (5, 9, 3, 9, 7, 12)
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
# family → (what its configuration is called, its values, whether its head reads first tokens alone)
FAMILIES = {
    "Bert": (SMALL, True),
    "DistilBert": ({"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}, True),
    "Roberta": (SMALL | {"pad_token_id": 1}, True),
    "XLMRoberta": (SMALL | {"pad_token_id": 1}, True),
    "Electra": (SMALL | {"embedding_size": 16}, True),
    "Albert": (SMALL | {"embedding_size": 16}, False),  # one layer that is run several times
    "MobileBert": (SMALL | {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16}, False),
}
PADDED = {
    "ConvBert": SMALL | {"embedding_size": 32},
    "DebertaV2": SMALL,
    "ModernBert": SMALL | {"pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2},
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(family: str, settings: dict, task: str = "SequenceClassification", **more):
    """A random model whose weights are large enough for a mistake to show."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(vocab_size=60, num_labels=3, **settings, **more)
    model = getattr(transformers, f"{family}For{task}")(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()


def batch(model, lengths=LENGTHS, left=False):
    draw = np.random.default_rng(0)
    padding = model.config.pad_token_id or 0
    rows = [{"input_ids": draw.integers(5, 60, n), "labels": int(draw.integers(0, 3))} for n in lengths]
    made = pad(rows, {"input_ids": padding})
    if left:
        for name in ("input_ids", "attention_mask"):
            made[name] = made[name].flip(1)
    return made


def outcome(model, inputs, packing=None):
    """Logits, loss and gradients of one forward and backward pass."""
    model.zero_grad()
    context = packing.batch(inputs, "cpu") if packing is not None else torch.enable_grad()
    with context:
        outputs = model(**inputs)
        outputs.loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return outputs.logits.detach(), outputs.loss.detach(), gradients


def assert_equal(one, other, tolerance=2e-5):
    torch.testing.assert_close(one[0], other[0], atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(one[1], other[1], atol=tolerance, rtol=tolerance)
    assert one[2].keys() == other[2].keys()
    largest = max(float(gradient.abs().max()) for gradient in one[2].values())
    for name, gradient in one[2].items():
        torch.testing.assert_close(gradient, other[2][name], atol=tolerance * largest, rtol=1e-3, msg=name)


def trims(model) -> bool:
    """Whether the last layer computes its first tokens only."""
    return packed._keep_first in packed.repeated_layers(model)[-1]._forward_pre_hooks.values()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_batch_computes_what_the_padded_one_does(family):
    values, first = FAMILIES[family]
    model = build(family, values)
    inputs = batch(model)
    padded = outcome(model, inputs)
    with packed.unpadded(model, batch(model, (3, 5, 8))) as packing:
        assert packing is not None
        assert trims(model) == first
        assert_equal(padded, outcome(model, inputs, packing))


@given(
    name=st.sampled_from(
        ["sliding-window:2", "sliding-window:8:0", "sliding-window:32:3", "block-sparse:2:1", "block-sparse:16",
         "top-k:2", "top-blocks:4:2", "sliding-window:4+dense", "dense+top-k:3"]
    ),
    family=st.sampled_from(["Bert", "DistilBert", "Roberta"]),
    lengths=st.lists(st.integers(1, 70), min_size=2, max_size=5),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_packed_batch_attends_sparsely_as_the_padded_one_does(name, family, lengths):
    model = build(family, FAMILIES[family][0])
    sparse.use(model, name)
    inputs = batch(model, lengths)
    padded = outcome(model, inputs)
    with packed.unpadded(model, inputs) as packing:
        assert packing is not None
        assert trims(model) == (name not in ("sliding-window:8:0", "top-k:2", "dense+top-k:3"))
        assert_equal(padded, outcome(model, inputs, packing))
    assert_equal(padded, outcome(model, inputs), tolerance=0)


@pytest.mark.parametrize("lengths", [LENGTHS, (40, 20, 4), (70,)])
@pytest.mark.parametrize("family", [*FAMILIES, "sliding-window:2", "block-sparse:2:1", "top-k:2", "dense+top-k:3"])
def test_surplus_tokens_change_nothing(family, lengths, monkeypatch):
    """Where they are wanted for fewer kernels, in full precision, so that a mistake would show."""
    monkeypatch.setattr(packed, "_generates_kernels", lambda _states: True)
    model = build(family if family in FAMILIES else "Bert", FAMILIES.get(family, (SMALL,))[0])
    if family not in FAMILIES:
        sparse.use(model, family)
    inputs = batch(model, lengths)
    padded = outcome(model, inputs)
    seen = []
    with packed.unpadded(model, batch(model, (3, 5, 8))) as packing:
        packed.repeated_layers(model)[0].register_forward_pre_hook(
            lambda _layer, *given: seen.append(packed._hidden_states(*given).shape[1]), with_kwargs=True
        )
        assert_equal(padded, outcome(model, inputs, packing))
    rounded = -(-sum(lengths) // 64) * 64
    assert seen[0] == (rounded if len(set(lengths)) > 1 else sum(lengths))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_tokens_are_rounded_up_in_16_bits_alone(precision):
    model = build("Bert", SMALL)
    seen = []
    with packed.unpadded(model, batch(model)) as packing:
        first = packed.repeated_layers(model)[0]
        first.register_forward_pre_hook(lambda _layer, arguments: seen.append(arguments[0].shape[1]))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            outcome(model, batch(model), packing)
    assert seen == [64 if precision == torch.bfloat16 else sum(LENGTHS)]


@pytest.mark.parametrize(("lengths", "wide"), [((5, 9, 3), True), ((7, 7, 7), False)])
def test_products_of_several_lengths_are_made_in_32_bits(lengths, wide, monkeypatch):
    """Where a length is always the same, as with pictures, kernels are generated once."""
    model, seen, own = build("Bert", SMALL), [], sequences._spelled_out
    monkeypatch.setattr(sequences, "_spelled_out", lambda *given: seen.append(given[0].dtype) or own(*given))
    with packed.unpadded(model, batch(model)) as packing, torch.autocast("cpu", torch.bfloat16):
        outcome(model, batch(model, lengths), packing)
    assert set(seen) == {torch.float32 if wide else torch.bfloat16}


def test_the_layers_see_real_tokens_only():
    model = build("Bert", SMALL)
    seen = []
    for layer in model.bert.encoder.layer:
        layer.intermediate.register_forward_pre_hook(lambda _m, inputs: seen.append(tuple(inputs[0].shape)))
    with packed.unpadded(model, batch(model)) as packing:
        seen.clear()
        outcome(model, batch(model), packing)
    assert seen == [(1, sum(LENGTHS), 32), (1, len(LENGTHS), 32)]  # the last layer: first tokens only


def test_a_head_that_reads_every_token_gets_every_token():
    model = build("Bert", SMALL, "TokenClassification")
    inputs = batch(model)
    inputs["labels"] = torch.where(inputs["attention_mask"].bool(), inputs["input_ids"] % 3, -100)
    padded = outcome(model, inputs)
    with packed.unpadded(model, inputs) as packing:
        assert packing is not None
        assert not trims(model)
        logits, *rest = outcome(model, inputs, packing)
    real = inputs["attention_mask"].bool()
    assert_equal((padded[0][real], *padded[1:]), (logits[real], *rest))


@pytest.mark.parametrize("family", PADDED)
def test_a_model_that_cannot_be_packed_is_left_as_it_was(family):
    model = build(family, PADDED[family])
    inputs = batch(model)
    before = outcome(model, inputs)
    with packed.unpadded(model, inputs) as packing:
        assert packing is None
        assert_equal(before, outcome(model, inputs), tolerance=0)


def test_where_the_head_reads_padding_the_batch_stays_padded():
    model = build("Bert", SMALL)  # its head reads position 0, which a batch padded on the left leaves empty
    with packed.unpadded(model, batch(model, left=True)) as packing:
        assert packing is None


def pictures(family: str, **more):
    """A random model for pictures of 16 patches, and a batch of them."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(image_size=16, patch_size=4, num_labels=3, **SMALL, **more)
    model = getattr(transformers, f"{family}ForImageClassification")(config).eval()
    return model, {"pixel_values": torch.randn(5, 3, 16, 16), "labels": torch.arange(5) % 3}


@pytest.mark.parametrize(("family", "first"), [("ViT", True), ("DeiT", True), ("Dinov2", False)])
def test_pictures_have_no_padding_and_a_last_layer_that_can_be_trimmed(family, first):
    model, inputs = pictures(family)
    plain = outcome(model, inputs)
    with packed.unpadded(model, {name: values[:3] for name, values in inputs.items()}) as packing:
        assert packing is not None
        assert trims(model) == first  # DINOv2's head reads the mean of the patches, too
        assert_equal(plain, outcome(model, inputs, packing))


def test_where_layers_are_left_out_at_random_examples_stay_apart():
    model, inputs = pictures("Dinov2", drop_path_rate=0.2)
    with packed.unpadded(model, inputs) as packing:
        assert packing is None


def test_gradient_checkpointing_changes_nothing():
    model = build("Bert", SMALL, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    inputs = batch(model)
    padded = outcome(model, inputs)
    model.train()
    models.checkpoint_activations(model)
    with packed.unpadded(model, inputs) as packing:
        assert_equal(padded, outcome(model, inputs, packing))


def test_a_model_that_accelerate_runs_in_16_bits_is_packed_too():
    model = build("Bert", SMALL)
    model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)  # what Accelerate gives the instance
    with packed.unpadded(model, batch(model, (3, 5, 8))) as packing:
        assert packing is not None
        assert trims(model)


def test_adapters_are_packed_too():
    model = build("Bert", SMALL)
    adapters.attach(model, AdapterConfig(kind="lora"), "here", None)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    inputs = batch(model)
    padded = outcome(model, inputs)
    with packed.unpadded(model, inputs) as packing:
        assert packing is not None
        assert_equal(padded, outcome(model, inputs, packing))


def test_afterwards_the_model_is_as_before():
    model = build("DistilBert", FAMILIES["DistilBert"][0])
    inputs = batch(model)
    before = outcome(model, inputs)
    with packed.unpadded(model, inputs):
        inside = outcome(model, inputs)  # a batch that is not packed is run as ever
    assert model.config._attn_implementation == "sdpa"
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert_equal(before, inside, tolerance=0)
    assert_equal(before, outcome(model, inputs), tolerance=0)


def test_one_model_is_made_ready_once():
    model = build("Bert", SMALL)
    inputs = batch(model)
    with packed.unpadded(model, inputs) as outer, packed.unpadded(model, inputs) as inner:
        assert inner is outer


def test_a_wrong_arrangement_is_noticed(monkeypatch):
    right = sequences.lay_out

    def wrong(mask, device):
        layout = right(mask, device)
        return sequences.Layout(layout.shape, layout.index.flip(0), layout.runs, layout.boundaries)

    monkeypatch.setattr(packed, "lay_out", wrong)
    model = build("Bert", SMALL)
    with packed.unpadded(model, batch(model)) as packing:
        assert packing is None


@pytest.mark.parametrize(
    ("on_gpu", "size", "width", "capability", "fits"),
    [
        (True, 2, 64, (8, 0), True),
        (True, 2, 64, (7, 5), False),
        (True, 2, 20, (9, 0), False),
        (True, 2, 264, (9, 0), False),
        (True, 4, 64, (9, 0), False),
        (False, 2, 64, (9, 0), False),
    ],
)
def test_the_kernel_for_packed_sequences_is_used_where_there_is_one(on_gpu, size, width, capability, fits, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    query = SimpleNamespace(is_cuda=on_gpu, element_size=lambda: size, shape=(1, 2, 9, width), device="cuda")
    assert sequences._fits_kernel(query) == fits


def test_attention_dropout_has_the_given_rate():
    """With weights of 1/L everywhere and values of one, the output is kept/L/(1-p) in each place: its mean is one."""
    torch.manual_seed(0)
    length, rows = 50, 40
    layout = sequences.lay_out(torch.ones(rows, length), "cpu")
    zeros = torch.zeros(1, 2, rows * length, 8)
    for drop in (None, fast_dropout.drop):
        sequences.Now.layout, sequences.Now.drop = layout, drop
        try:
            output, _ = sequences.attention(None, zeros, zeros, torch.ones_like(zeros), None, dropout=0.3)
        finally:
            sequences.Now.clear()
            sequences.Now.drop = None
        kept = output[..., 0] * 0.7  # share of the weights that stayed, for each query
        assert kept.mean() == pytest.approx(0.7, abs=0.01)
        assert kept.var() == pytest.approx(0.3 * 0.7 / length, rel=0.1)


@pytest.mark.parametrize("kept", [sequences._KEPT, 0])
def test_small_16_bit_layers_use_products(monkeypatch, kept):
    monkeypatch.setattr(sequences, "_KEPT", kept)
    called = []
    kernel = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda *args, **more: called.append(1) or kernel(*args, **more),
    )
    torch.manual_seed(0)
    monkeypatch.setattr(sequences.Now, "layout", sequences.lay_out(torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]), "cpu"))
    exact = [torch.randn(1, 2, 7, 8, requires_grad=True) for _ in range(3)]
    rounded = [tensor.detach().bfloat16().requires_grad_() for tensor in exact]
    for inputs in (exact, rounded):
        output, _ = sequences.attention(None, *inputs, None)
        output.float().square().sum().backward()
    assert len(called) == 2 + (0 if kept else 2)
    for item, other in zip(exact, rounded, strict=True):
        assert (item.grad - other.grad.float()).abs().max() < 0.03 * item.grad.abs().max()


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_the_layout_holds_every_real_token_once(lengths):
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    layout = sequences.lay_out(mask, "cpu")
    assert sorted(layout.index.tolist()) == mask.flatten().nonzero()[:, 0].tolist()
    assert layout.boundaries.tolist() == [0, *np.cumsum(sorted(lengths, reverse=True))]
    assert sum(n * length for n, length in layout.runs) == layout.tokens == sum(lengths)
    firsts = layout.index[layout.boundaries[:-1].long()] % max(lengths)
    assert firsts.tolist() == [0] * len(lengths)
