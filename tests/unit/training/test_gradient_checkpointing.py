"""Recomputed activations equal the original ones, dropout included."""

import pytest
import torch

from tests.support import classifiers as small
from tests.support.errors import refused
from toolkit import models
from toolkit.config.settings import AdapterConfig
from toolkit.errors import ModelError
from toolkit.training.acceleration import fast_dropout
from toolkit.training.adaptation import adapters
from toolkit.training.adaptation.layer_groups import freeze


def gradients(family: str, limit: str, checkpointing: bool) -> dict[str, torch.Tensor]:
    model = small.classifier(family, dropout=0.2)
    if limit == "frozen":
        freeze(model, 1)
    if limit == "lora":
        adapters.attach(model, AdapterConfig(kind="lora", dropout=0.2), "x", None)
    if checkpointing:
        models.checkpoint_activations(model)
    fast_dropout.cheapen(model.train())
    torch.manual_seed(3)
    model(**small.batch()).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("family", small.FAMILIES)
@pytest.mark.parametrize("limit", ["", "frozen", "lora"])
def test_gradients_are_those_without_it(family, limit):
    plain, checkpointed = (gradients(family, limit, checkpointing) for checkpointing in (False, True))
    assert plain.keys() == checkpointed.keys()
    assert len(plain) > 10
    for name, gradient in plain.items():
        assert torch.equal(gradient, checkpointed[name]), name


def test_cache_warning_is_suppressed(caplog):
    import logging

    models.checkpoint_activations(small.classifier("bert"))
    logging.getLogger("transformers.utils.generic").warning(
        "`use_cache=True` is incompatible with gradient checkpointing."
    )
    assert not caplog.records


def test_layers_are_computed_twice():
    calls = []
    model = small.classifier("bert").train()
    model.bert.encoder.layer[0].attention.self.query.register_forward_hook(lambda *_: calls.append(1))
    models.checkpoint_activations(model)
    model(**small.batch()).loss.backward()
    assert len(calls) == 2
    with torch.no_grad():
        model.eval()(**small.batch())
    assert len(calls) == 3  # and once when nothing is learned


def test_unsupported_model_is_rejected():
    with refused(ModelError, "model.no-gradient-checkpointing", "Linear"):
        models.checkpoint_activations(torch.nn.Linear(2, 2))
