"""The contrastive loss is the formula, and moves examples of one class together."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.support import models
from tests.support.training import train
from tests.unit.training.adaptation.test_linear_probe import collate, texts
from toolkit.config.settings import TrainingConfig
from toolkit.training.adaptation import contrastive, feature_vectors
from toolkit.training.distributed.devices import accelerator_for


def directly(vectors, labels, temperature):
    """Khosla et al. 2020, equation 2, in loops; anchors without a positive are left out of the mean."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = []
    for i, label in enumerate(labels):
        positives = [j for j, other in enumerate(labels) if j != i and other == label]
        if not positives:
            continue
        total = sum(math.exp(unit[i] @ unit[a] / temperature) for a in range(len(labels)) if a != i)
        losses.append(-np.mean([math.log(math.exp(unit[i] @ unit[p] / temperature) / total) for p in positives]))
    return float(np.mean(losses)), len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_is_the_formula(temperature):
    rng = np.random.default_rng(0)
    vectors, labels = rng.standard_normal((7, 5)), np.array([0, 0, 1, 1, 1, 2, 0])
    objective = contrastive.objective(temperature)
    batch = {"labels": torch.from_numpy(labels)}
    loss, anchors = directly(vectors, labels, temperature)
    outputs = SimpleNamespace(logits=torch.from_numpy(vectors))
    assert float(objective.mean(outputs, batch)) == pytest.approx(loss, rel=1e-5)
    assert objective.weight(batch) == anchors == 6


def test_batch_without_pairs_weighs_nothing():
    assert contrastive.objective().weight({"labels": torch.tensor([0, 1, 2])}) == 0


def test_model_without_output_layer_returns_features():
    model, features = models.bert().eval(), texts(6)
    inputs = {name: value for name, value in collate([features[i] for i in range(6)]).items() if name != "labels"}
    layer = feature_vectors.output_layer(model, inputs)
    with torch.no_grad():
        logits = model(**inputs).logits
        with contrastive.without_output_layer(model, layer):
            vectors = model(**inputs).logits
        torch.testing.assert_close(layer(vectors), logits)
        torch.testing.assert_close(model(**inputs).logits, logits)


@pytest.mark.parametrize(("classes", "batch"), [(2, 16), (6, 32), (10, 32), (11, 64), (77, 64)])
def test_batches_follow_classes(classes, batch):
    planned = contrastive.plan(TrainingConfig(), 640, classes)
    assert planned.batch_size == batch
    assert planned.epochs == 8
    few = contrastive.plan(TrainingConfig(), 16, classes)
    assert few.epochs * math.ceil(16 / batch) == 8


def test_training_draws_classes_apart():
    torch.manual_seed(0)
    model, features = models.bert(), texts(24)
    layer = feature_vectors.output_layer(model, collate([features[0], features[1]]))
    config = contrastive.plan(TrainingConfig(learning_rate=1e-2, best_metric="loss", dropout=0.0), 24, 2)
    config = config.model_copy(update={"epochs": 15.0, "early_stopping_patience": None})
    before = layer.weight.detach().clone()
    with contrastive.without_output_layer(model, layer):
        result = train(
            model,
            contrastive.shuffled(features),
            collate,
            config,
            accelerator_for(config, "fp32"),
            objective=contrastive.objective(),
            validate=lambda _model: {"loss": 0.0},
            save=lambda _model, _step: None,
            higher_is_better=False,
            observe=lambda _event: None,
        )
    assert result.steps == 30
    assert result.losses[-1]["value"] < result.losses[0]["value"] - 0.2
    assert torch.equal(layer.weight, before)
