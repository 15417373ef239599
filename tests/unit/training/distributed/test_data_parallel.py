"""The division of a step's examples; communication is tested in tests/invariant/test_processes.py."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.distributed.process_group import ALONE, Team
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


def test_one_process_averages_nothing():
    model = torch.nn.Linear(2, 1)
    loss = torch.tensor(1.5)
    assert data_parallel.average(ALONE, model, loss, 3, (True, False)) == (loss, [True, False])
    assert model.weight.grad is None


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_gradient_buckets_are_complete_and_ordered(sizes):
    tensors = [torch.empty(size * data_parallel._BUCKET // 16, device="meta") for size in sizes]
    buckets = list(data_parallel._buckets(tensors))
    assert [id(tensor) for bucket in buckets for tensor in bucket] == [id(tensor) for tensor in tensors]
    assert all(len(bucket) == 1 or sum(t.numel() for t in bucket) <= data_parallel._BUCKET for bucket in buckets)
