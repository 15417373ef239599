"""Attributions of a classifier with known attributions, and of small real architectures."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support import models, toys
from tests.support.errors import refused
from toolkit.data.batching.batch import pad
from toolkit.errors import ModelError
from toolkit.explanation import attention, attributions, faithfulness
from toolkit.explanation.question import Model, Outcome, log_odds
from toolkit.explanation.words import example

WEIGHTS = [2.0, -1.0, 0.5, 0.0]


def real(family):
    model, _ = models.make(family)
    tokenizer = models.tokenizer()
    texts = ("The cat sleeps on a mat",)
    made = example(texts, tokenizer(*texts, return_token_type_ids=False, return_attention_mask=False), tokenizer, 64)
    return Model(model, lambda features: pad(features, {}), padding=0), made


def test_known_weights_are_found():
    model, text = toys.bag(WEIGHTS), toys.text([1, 2, 3, 4])
    batch = model.batch([text.features])
    for result in (
        attributions.leave_one_out(model, text, 1),
        attributions.gradient_input(model, batch, 1),
        attributions.integrated_gradients(model, text, batch, 1)[0],
    ):
        np.testing.assert_allclose(result, WEIGHTS, atol=1e-4)
    np.testing.assert_allclose(attributions.leave_one_out(model, text, 0), np.negative(WEIGHTS), atol=1e-4)


def test_integrated_gradients_add_up_to_the_difference_from_the_empty_text():
    model, made = real("distilbert")
    model.network.requires_grad_(False)
    for parameter in model.network.parameters():
        parameter.mul_(0.3)  # a gentler function: that of random weights has no end of detail
    batch = model.batch([made.features])
    result, error = attributions.integrated_gradients(model, made, batch, 1)
    empty = {**batch, "input_ids": batch["input_ids"].clone()}
    empty["input_ids"][:, 1:-1] = 0
    full = log_odds(model.network(**batch).logits, 1) - log_odds(model.network(**empty).logits, 1)
    assert error <= 0.01
    assert result.sum() == pytest.approx(full.item(), rel=0.02, abs=2e-3)
    np.testing.assert_allclose(result[[0, -1]], 0, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_every_method_scores_every_word(family):
    model, made = real(family)
    result = attributions.explain(model, made, 1, attributions.available())
    assert set(result.scores) == set(attributions.BY_NAME)
    for name, scores in result.scores.items():
        assert scores.shape == (6,)
        assert np.isfinite(scores).all()
        if not attributions.BY_NAME[name].signed:
            assert (scores >= 0).all()
    assert set(result.special) == set(result.scores) - {"leave-one-out"}
    assert all(scores.shape == (2,) for scores in result.special.values())
    assert result.weights.shape[-2:] == (9, 9)


def test_a_number_is_explained_in_its_units_and_one_class_of_several_alone():
    text = toys.text([1, 2, 3, 4])
    pick = lambda logits, number: logits[:, number]  # noqa: E731
    number = Outcome(lambda logits: logits, pick, lambda _values, _stored: [0], number=True, unit=2.0)
    model = replace(toys.bag(WEIGHTS), outcome=number)
    whole, empty = model.values([text.features, text.keep(())])[:, 1]
    result = attributions.leave_one_out(model, text, 1)
    assert result.sum() == pytest.approx(whole - empty, abs=1e-4)
    explanation = attributions.Explanation(text, 1, {"known": result, "turned": -result}, {}, None)
    (curves,) = faithfulness.measure(model, [explanation], 0)
    assert curves.comprehensiveness["known"] == curves.comprehensiveness["turned"] > 0  # the size counts, not the sign
    (halved,) = faithfulness.measure(replace(model, outcome=replace(number, unit=4.0)), [explanation], 0)
    assert halved.comprehensiveness["known"] == pytest.approx(curves.comprehensiveness["known"] / 2)


def test_explaining_leaves_the_model_as_it_was():
    model, made = real("bert")
    before = model.values([made.features])
    attributions.explain(model, made, 0, attributions.available())
    np.testing.assert_array_equal(model.values([made.features]), before)
    assert model.network.config._attn_implementation == "sdpa"
    assert all(parameter.grad is None for parameter in model.network.parameters())


def test_a_family_with_attention_of_its_own_is_explained_without_it():
    model, made = real("bert")
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    config = DebertaV2Config(
        vocab_size=models.WORDS, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    other = Model(DebertaV2ForSequenceClassification(config).eval(), model.collate, padding=0)
    methods = attributions.available(watchable=attention.watchable(other.network))
    assert methods == ("leave-one-out", "integrated-gradients", "gradient-input")
    result = attributions.explain(other, made, 0, methods)
    assert result.weights is None
    assert set(result.scores) == set(methods)
    with refused(ModelError, "model.attention-unsupported", "DebertaV2"):
        attributions.explain(other, made, 0, ["rollout"])


def test_without_captum_integrated_gradients_are_left_out(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "integrated-gradients" not in attributions.available()
    assert len(attributions.available()) == len(attributions.METHODS) - 1
