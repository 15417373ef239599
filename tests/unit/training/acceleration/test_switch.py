"""`training.acceleration`: off is plain PyTorch, and auto computes the same losses."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from transformers import BertForTokenClassification

from tests.support import models
from tests.support.training import train
from toolkit.attention.interface import implementation
from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features, Ragged, pad
from toolkit.errors import ConfigError
from toolkit.inference.predict import predict
from toolkit.models import dropout_settings
from toolkit.training.acceleration import autotune

ROWS = 24
RELATIVE = 1e-4
RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(4, 10, ROWS)


def ragged(lengths, highest: int) -> Ragged:
    values = RANDOM.integers(3, highest, lengths.sum()).astype(np.int32)
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]))


TOKENS = ragged(LENGTHS, models.WORDS)
CLASSES = RANDOM.integers(0, 2, ROWS)
DATA = {
    "text": Features({"input_ids": TOKENS, "labels": CLASSES}, LENGTHS),
    "words": Features({"input_ids": TOKENS, "labels": Ragged(TOKENS.values % 2, TOKENS.offsets)}, LENGTHS),
    "image": Features(
        {"pixel_values": RANDOM.standard_normal((ROWS, 3, 8, 8)).astype(np.float32), "labels": CLASSES},
        np.ones(ROWS, np.int64),
    ),
    "translation": Features({"input_ids": TOKENS, "labels": ragged(LENGTHS[::-1], models.WORDS)}, LENGTHS),
}
FAMILIES = {"text": "bert", "words": "bert", "image": "vit", "translation": "t5"}


def collate(rows):
    return pad(rows, {"labels": -100})


def build(task: str, dropout: float):
    family = models.FAMILIES[FAMILIES[task]]()
    rates = dropout_settings(family.config, TrainingConfig(dropout=dropout, attention_dropout=dropout))
    family.config.update(rates)
    torch.manual_seed(0)
    kind = BertForTokenClassification if task == "words" else type(family)
    return kind(family.config)


def traces(model) -> dict[str, bool]:
    """Return what is not as the library made it."""
    modules = list(model.modules())
    return {
        "a forward pass": any("forward" in vars(module) for module in modules),
        "hooks": any(module._forward_hooks or module._forward_pre_hooks for module in modules),
        "attention": implementation(model) != "sdpa",
    }


def trained(task: str, acceleration: str, dropout: float = 0.0):
    """Return the losses of a few steps, and what was changed about the model meanwhile."""
    model = build(task, dropout)
    losses, seen = [], []

    def look(_step, loss):
        losses.append(float(loss))
        seen.append(traces(model))

    train(
        model,
        DATA[task],
        collate,
        TrainingConfig(epochs=2, batch_size=8, learning_rate=1e-2, acceleration=acceleration),
        Accelerator(cpu=True),
        validate=lambda _model: {"loss": 0.0},
        save=lambda _model, _step: None,
        higher_is_better=False,
        observe=lambda _event: None,
        after_step=look,
    )
    assert len(losses) == 6
    assert all(item == seen[0] for item in seen)
    assert not any(traces(model).values())
    return losses, seen[0]


@pytest.mark.parametrize("task", DATA)
def test_losses_are_the_same_up_to_rounding(task):
    plain, _ = trained(task, "off")
    accelerated, changed = trained(task, "auto")
    assert any(changed.values())
    assert accelerated == pytest.approx(plain, rel=RELATIVE)
    assert np.ptp(plain) > 20 * RELATIVE * max(plain)  # so that other losses would be noticed


@pytest.mark.parametrize("task", DATA)
def test_nothing_of_the_model_is_changed_when_it_is_off(task):
    _, changed = trained(task, "off", dropout=0.1)
    assert not any(changed.values())


def test_auto_changes_forward_passes_hooks_and_attention():
    assert all(trained("text", "auto", dropout=0.1)[1].values())


@pytest.mark.parametrize("padded", [False, True])
def test_predictions_are_padded_on_request(padded):
    model = build("text", 0.0).eval()
    shapes = []
    model.bert.encoder.layer[0].output.register_forward_pre_hook(lambda _m, inputs: shapes.append(inputs[0].shape))
    features = Features({"input_ids": TOKENS}, LENGTHS)
    predict(model, features, collate, lambda _outputs, _batch: {}, batch_size=ROWS, padded=padded)
    assert shapes[-1][:2] == ((ROWS, LENGTHS.max()) if padded else (1, LENGTHS.sum()))


def test_precision_is_32_bits_unless_typed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert autotune.configured(TrainingConfig(), "cuda").precision == "bf16"
    assert autotune.configured(TrainingConfig(acceleration="off"), "cuda").precision == "fp32"
    assert autotune.configured(TrainingConfig(acceleration="off", precision="bf16"), "cuda").precision == "bf16"


@pytest.mark.parametrize(("key", "value"), [("tune_speed", True), ("compile", True), ("attention_kernel", "products")])
def test_acceleration_keys_are_rejected_with_off(key, value):
    with pytest.raises(ConfigError) as caught:
        autotune.configured(TrainingConfig(acceleration="off", **{key: value}), "cpu")
    assert f"training.{key}" in caught.value.problem
    assert f"--set training.{key}=" in caught.value.fix


def test_compile_false_is_allowed_with_off():
    assert autotune.configured(TrainingConfig(acceleration="off", compile=False), "cpu") == autotune.ComputeSettings(
        "fp32"
    )
