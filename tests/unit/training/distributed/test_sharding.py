"""Configurations that cannot be sharded; sharding is tested in tests/invariant/test_processes.py."""

import pytest
import torch

from tests.support.errors import refused
from toolkit.config.settings import AdapterConfig, TrainingConfig
from toolkit.errors import ConfigError
from toolkit.training.distributed.sharding import check, gathered, like, whole


@pytest.mark.parametrize(
    ("training", "adapter", "problem"),
    [({}, {"kind": "lora"}, "`adapter.kind` lora"), ({"freeze": "trunk"}, {}, "`training.freeze` trunk")],
)
def test_unshardable_configuration_is_rejected(training, adapter, problem):
    check(TrainingConfig(**training), AdapterConfig(**adapter))
    with refused(ConfigError, "config.conflict", problem):
        check(TrainingConfig(strategy="fsdp", **training), AdapterConfig(**adapter))


def test_unsharded_tensors_are_unchanged():
    model, tensor = torch.nn.Linear(2, 2), torch.ones(3)
    assert whole(tensor) is tensor
    assert like(model.weight, tensor) is tensor
    before = model.weight
    with gathered(model):
        assert model.weight is before
