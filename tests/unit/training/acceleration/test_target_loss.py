"""A loss of target tokens alone is the model's own, and so is its gradient."""

import pytest
import torch

from tests.support import models
from toolkit.training.acceleration.target_loss import of_targets


def batch():
    torch.manual_seed(1)
    ids, mask = torch.randint(3, models.WORDS, (4, 7)), torch.ones(4, 7, dtype=torch.long)
    mask[1:3, 4:] = 0
    labels = torch.randint(3, models.WORDS, (4, 6))
    labels[0, 2:] = labels[2, 5:] = -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@pytest.fixture(params=["t5", "marian", "mbart", "m2m100"])
def model(request):
    made, _ = models.make(request.param)
    made.eval()
    if hasattr(made, "final_logits_bias"):
        made.final_logits_bias += torch.linspace(-1, 1, models.WORDS)
    return made


def taken(model, loss):
    model.zero_grad()
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_loss_and_gradients_are_the_models_own(model):
    own, expected = taken(model, model(**batch()).loss)
    with of_targets(model, batch()) as loss:
        result, gradients = taken(model, 3 * loss(model, batch()))
    torch.testing.assert_close(result, 3 * own)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, 3 * expected[name], rtol=1e-4, atol=1e-6)


def test_in_16_bits_it_is_as_near_to_the_truth_as_the_models_own(model):
    _, expected = taken(model, model(**batch()).loss)

    def far(gradients):
        return sum(float((gradients[name] - expected[name]).norm()) for name in expected)

    with torch.autocast("cpu", torch.bfloat16):
        own = model(**batch()).loss
    theirs = far(taken(model, own)[1])
    with of_targets(model, batch()) as loss, torch.autocast("cpu", torch.bfloat16):
        ours = loss(model, batch())
    assert far(taken(model, ours)[1]) < 1.5 * theirs


def test_while_it_lasts_and_afterwards_the_model_answers_as_ever(model):
    logits = model(**batch()).logits
    with of_targets(model, batch()) as loss:
        loss(model, batch())
        assert torch.equal(model(**batch()).logits, logits)
    assert "forward" not in vars(model.get_output_embeddings())


def test_a_frozen_output_layer_has_no_gradient(model):
    head = model.get_output_embeddings()
    head.weight.requires_grad_(False)
    with of_targets(model, batch()) as loss:
        loss(model, batch()).backward()
    assert head.weight.grad is None
    assert any(parameter.grad is not None for parameter in model.parameters())


def test_a_model_with_a_loss_of_another_kind_keeps_it():
    made, _ = models.make("t5")
    own = made.forward

    def penalised(**inputs):
        outputs = own(**inputs)
        if outputs.loss is not None:
            outputs.loss = outputs.loss + 0.01 * outputs.logits.logsumexp(-1).square().mean()
        return outputs

    type(made).forward, kept = (lambda _self, **inputs: penalised(**inputs)), type(made).forward
    try:
        with of_targets(made, batch()) as loss:
            assert loss is None
    finally:
        type(made).forward = kept


def test_an_encoder_is_left_alone():
    made, inputs = models.make("bert")
    with of_targets(made, {**inputs, "labels": torch.zeros(1)}) as loss:
        assert loss is None
