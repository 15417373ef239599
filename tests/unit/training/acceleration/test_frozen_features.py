"""Features of a frozen backbone: used where they are constant, and bit-identical."""

from contextlib import nullcontext

import numpy as np
import torch
from accelerate import Accelerator

from tests.support.errors import refused
from tests.support.training import train
from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, join, pad
from toolkit.errors import ConfigError
from toolkit.training.acceleration import frozen_features
from toolkit.training.adaptation.layer_groups import freeze

RANDOM = np.random.default_rng(0)
FEATURES = Features(
    {"pixel_values": RANDOM.standard_normal((40, 3, 8, 8)).astype(np.float32), "labels": np.arange(40) % 3},
    np.ones(40, np.int64),
)


def model(dropout: float = 0.0):
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    return ViTForImageClassification(
        ViTConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, image_size=8,
            patch_size=4, num_labels=3, hidden_dropout_prob=dropout, problem_type="single_label_classification",
        )
    )  # fmt: skip


def batch(rows: int = 4):
    return pad([FEATURES[row] for row in range(rows)], {})


def plain(features):
    return pad(features, {})


def test_the_trunk_of_a_frozen_model_is_found():
    frozen = model()
    assert freeze(frozen, "trunk") > 0
    result = frozen_features.find(frozen, batch())
    assert result is not None
    assert result.name == "classifier"
    assert not frozen.vit.embeddings.cls_token.requires_grad


def test_where_examples_must_go_through_the_whole_model():
    assert frozen_features.find(model(), batch()) is None  # everything moves
    half = model()
    freeze(half, 1)
    assert frozen_features.find(half, batch()) is None
    chance = model(dropout=0.5)
    freeze(chance, "trunk")
    assert frozen_features.find(chance, batch()) is None
    other = model()
    freeze(other, "trunk")
    other.config.problem_type = "regression"
    assert frozen_features.find(other, batch()) is None


def test_a_model_without_a_head_has_no_trunk():
    from transformers import ViTModel

    with refused(ConfigError, "model.no-separate-head", "`training.freeze`"):
        freeze(ViTModel(model().config), "trunk")


def fitted(through_features: bool):
    frozen = model()
    freeze(frozen, "trunk")
    subject, features = frozen, FEATURES
    if through_features:
        result = frozen_features.find(frozen, batch())
        assert result is not None
        features = join(result.features(FEATURES, plain, 16, nullcontext))
        assert features.columns["inputs"].shape == (40, 16)
        subject = result.headed()
    losses = []
    train(
        subject, features, plain, TrainingConfig(epochs=3, batch_size=8, learning_rate=0.05, seed=3, device="cpu"),
        Accelerator(cpu=True), validate=lambda _model: {"loss": 0.0}, save=lambda _model, _step: None,
        higher_is_better=False, observe=lambda _event: None, after_step=lambda _step, loss: losses.append(float(loss)),
    )  # fmt: skip
    return frozen.classifier.weight.detach(), losses


def test_training_on_features_is_the_same_to_the_bit():
    (one, losses), (other, again) = fitted(True), fitted(False)
    assert losses == again
    assert len(losses) == 15
    assert torch.equal(one, other)


def test_the_digest_is_of_the_trunk_alone():
    first, other = (frozen_features.FrozenBackbone(model(), None, "classifier") for _ in range(2))
    other.model.classifier.weight.data += 1
    assert first.digest() == other.digest()
    other.model.vit.embeddings.cls_token.data += 1
    assert first.digest() != other.digest()


def test_a_frozen_head_leaves_the_whole_model_to_train():
    from tests.support.models import make

    model, batch = make("bert")
    for parameter in model.classifier.parameters():
        parameter.requires_grad_(False)
    assert frozen_features.find(model, batch) is None
