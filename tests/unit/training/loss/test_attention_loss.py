"""Attention losses: rejected early where unsupported, and measured."""

import numpy as np
import pytest
import torch

from tests.support import models
from tests.support.errors import refused
from toolkit.attention.record import recording
from toolkit.config.settings import LossConfig, TrainingConfig
from toolkit.data.batching.batch import Features, Ragged, pad
from toolkit.errors import ConfigError, ModelError
from toolkit.training.loss import attention_loss
from toolkit.training.loss.objective import OWN


@pytest.mark.parametrize(
    ("loss", "training", "identifier", "fact"),
    [
        ({"attention_supervision": 1}, {}, "data.no-rationales", "`rationale`"),
        ({"attention_entropy": -1}, {"gradient_checkpointing": True}, "config.conflict", "`loss`"),
    ],
)
def test_invalid_settings_are_rejected(loss, training, identifier, fact):
    with refused(ConfigError, identifier, fact):
        attention_loss.check(LossConfig(**loss), TrainingConfig(**training), ["text", "label"])


def test_valid_settings_are_accepted():
    attention_loss.check(LossConfig(), TrainingConfig(gradient_checkpointing=True), ["text"])
    attention_loss.check(LossConfig(attention_supervision=1), TrainingConfig(), ["text", "rationale"])
    attention_loss.watchable(models.make("distilbert")[0])


def test_cross_attention_is_rejected():
    with refused(ModelError, "model.attention-unsupported", "MarianMTModel", "`loss.attention_supervision`"):
        attention_loss.watchable(models.make("marian")[0])


def test_objective_names_its_penalties():
    config = LossConfig(attention_entropy=-0.1, attention_supervision=0.5)
    named = attention_loss.regularised(OWN, config).name
    assert named == "the model's own loss −0.1 × attention entropy +0.5 × distance to the rationales"
    assert attention_loss.regularised(OWN, LossConfig()) == OWN


def test_the_penalty_adds_up():
    model, batch = models.make("bert")
    batch["rationale"] = torch.tensor([[0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]])
    with torch.no_grad(), recording(model) as records:
        model(**{name: values for name, values in batch.items() if name != "rationale"})

    def added(**loss):
        return attention_loss.penalty(LossConfig(**loss))(records, batch)

    both = added(attention_entropy=0.2, attention_supervision=0.3)
    apart = 0.2 * added(attention_entropy=1) + 0.3 * added(attention_supervision=1)
    torch.testing.assert_close(both, apart)


def test_attention_is_measured_over_all_batches():
    model, _ = models.make("bert")
    ids = Ragged(np.arange(3, 24, dtype=np.int32), np.array([0, 4, 10, 21]))
    marks = Ragged(np.eye(1, 21, 2, dtype=np.int32)[0], ids.offsets)  # of the first example alone
    labels = np.array([0, 1, 0])
    features = Features({"input_ids": ids, "labels": labels, "rationale": marks}, ids.lengths)

    def collate(rows):
        return pad(rows, {})

    together, apart = (attention_loss.measure(model, features, collate, size) for size in (3, 1))
    assert together == pytest.approx(apart, rel=1e-4)
    bare = attention_loss.measure(model, features.without("rationale"), collate, 2)
    assert bare == {"attention_entropy": pytest.approx(together["attention_entropy"], rel=1e-4)}
