"""The division of a step's examples; communication is tested in tests/invariant/test_processes.py."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.config.settings import TrainingConfig
from toolkit.distributed.process_group import ALONE, Team
from toolkit.errors import ConfigError
from toolkit.training.distributed import data_parallel


@given(st.lists(st.integers(1, 512), min_size=1, max_size=200), st.integers(2, 9), st.randoms(use_true_random=False))
def test_each_example_is_dealt_to_one_process_and_tokens_are_balanced(lengths, size, draw):
    lengths = np.array(lengths, np.int64)
    indices = np.array(draw.sample(range(len(lengths)), draw.randint(1, len(lengths))), np.int64)
    shares = [data_parallel.deal(indices, lengths, Team(rank, size)) for rank in range(size)]
    assert sorted(np.concatenate(shares)) == sorted(indices)
    counts = [len(share) for share in shares]
    assert max(counts) - min(counts) <= 1
    tokens = [int(lengths[share].sum()) for share in shares]
    assert max(tokens) - min(tokens) <= int(lengths[indices].max())


def test_one_process_takes_the_step_as_it_was_planned():
    indices = np.array([4, 1, 3], np.int64)
    assert data_parallel.deal(indices, np.arange(9), ALONE) is indices


@pytest.mark.parametrize(
    ("config", "identifier"),
    [
        ({"gradient_compression": "powersgd", "strategy": "fsdp"}, "config.conflict"),
        ({"gradient_compression": "powersgd", "precision": "fp16"}, "config.conflict"),
        ({"gradient_compression": "bf16", "device": "cpu"}, "device.unsupported"),
    ],
)
def test_impossible_compression_is_refused(config, identifier):
    with pytest.raises(ConfigError) as caught:
        data_parallel.check(TrainingConfig(**config))
    assert caught.value.id == identifier


def test_one_process_agrees_with_itself():
    loss = torch.tensor(1.5)
    assert data_parallel.agreed(ALONE, loss, (True, False), "cpu") == (loss, [True, False])
