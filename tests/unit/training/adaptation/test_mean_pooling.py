"""A layer with uniform attention: the output layer reads the mean, and the saved model is one of the library's."""

import numpy as np
import pytest
import torch

from tests.support import models, recordings
from toolkit.training.adaptation import feature_vectors, linear_probe, mean_pooling

POOLED = ("bert", "distilbert", "roberta", "electra")
UNTOUCHED = ("albert", "modernbert")


def make(family):
    torch.manual_seed(0)
    model = getattr(models, family)()
    with torch.no_grad():  # biases and norms of a pretrained model are not 0 and 1
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.eval()


def batch():
    ids = torch.randint(5, models.WORDS, (3, 7))
    mask = torch.ones(3, 7, dtype=torch.long)
    mask[0, 4:] = 0
    mask[1, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 1, 0])}


def run(model, inputs):
    with torch.no_grad():
        return model(**{name: value for name, value in inputs.items() if name != "labels"}, output_hidden_states=True)


@pytest.mark.parametrize("family", POOLED)
def test_saved_model_computes_regression_on_the_mean(family, tmp_path):
    model, inputs = make(family), batch()
    layer = feature_vectors.output_layer(model, inputs)
    hidden = run(model, inputs).hidden_states[-1].numpy()
    mask = inputs["attention_mask"].numpy()[:, :, None]
    mean = mean_pooling.normalised((hidden * mask).sum(axis=1) / mask.sum(axis=1))
    pooled = mean_pooling.add(model, layer, inputs)
    assert pooled is not None
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((2, mean.shape[1])).astype(np.float32), np.array([0.3, -0.2], np.float32)
    probe = linear_probe.Probe(feature_vectors.MEAN, weight, bias, 0.0, 0.0, 0.0)
    linear_probe.install(layer, linear_probe.scaled(probe, pooled))
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path).eval()
    expected = mean @ weight.T + bias
    np.testing.assert_allclose(run(loaded, inputs).logits.numpy(), expected, atol=0.05 * np.abs(expected).max())


@pytest.mark.parametrize("family", POOLED)
def test_the_added_layer_is_fixed_and_gradients_pass_it(family):
    model, inputs = make(family), batch()
    layer = feature_vectors.output_layer(model, inputs)
    before = sum(p.numel() for p in model.parameters() if p.requires_grad)
    mean_pooling.add(model, layer, inputs)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) <= before
    model(**inputs).loss.backward()
    embedding = model.get_input_embeddings().weight
    assert embedding.grad is not None and float(embedding.grad.abs().max()) > 0


@pytest.mark.parametrize("family", UNTOUCHED)
def test_a_family_that_cannot_is_left_as_it_was(family):
    model, inputs = make(family), batch()
    layer = feature_vectors.output_layer(model, inputs)
    before, layers = run(model, inputs).logits, model.config.num_hidden_layers
    assert mean_pooling.add(model, layer, inputs) is None
    assert torch.equal(run(model, inputs).logits, before)
    assert model.config.num_hidden_layers == layers
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_mask_of_samples_is_none_of_tokens(tmp_path):
    from transformers import AutoModelForAudioClassification

    folder = recordings.checkpoints(tmp_path)["wav2vec2"]
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    inputs = {"input_values": torch.randn(3, 4000), "attention_mask": torch.ones(3, 4000, dtype=torch.long)}
    layers = model.config.num_hidden_layers
    layer = feature_vectors.output_layer(model, inputs)
    assert mean_pooling.add(model, layer, inputs) is None
    assert model.config.num_hidden_layers == layers
