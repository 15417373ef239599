"""The learning rate rises, falls and ends as promised; the optimizer has the trainable parameters."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st

from toolkit.config.settings import TrainingConfig
from toolkit.training.loop.schedule import _total_norm, build_optimizer, clip_gradients, learning_rate_factor

schedules = st.sampled_from(["linear", "cosine", "inverse-sqrt", "constant"])
totals = st.integers(1, 500)


def rate(schedule: str, warmup: int, total: int, floor: float = 0.0):
    config = TrainingConfig(schedule=schedule, warmup_steps=warmup, min_learning_rate_fraction=floor)
    return learning_rate_factor(config, total)


@given(schedules, totals, st.floats(0, 0.99))
def test_the_factor_rises_then_never_rises_again(schedule, total, share):
    warmup = round(total * share)
    factors = [rate(schedule, warmup, total)(step) for step in range(total)]
    assert all(0 < factor <= 1 for factor in factors)
    assert all(a < b for a, b in pairwise(factors[:warmup]))
    assert all(a >= b for a, b in pairwise(factors[warmup:]))
    if warmup < total:
        assert factors[warmup] == 1.0


@given(st.sampled_from(["linear", "cosine", "constant"]), totals, st.floats(0, 1))
def test_the_factor_ends_at_its_floor_and_stays_there(schedule, total, floor):
    factor = rate(schedule, 0, total, floor)
    end = 1.0 if schedule == "constant" else floor
    assert min(factor(step) for step in range(total)) >= end - 1e-12
    assert factor(total) == pytest.approx(end, abs=1e-12)
    assert factor(2 * total) == pytest.approx(end, abs=1e-12)


def test_known_values():
    linear = rate("linear", 4, 14)
    assert [linear(step) for step in (0, 3, 4, 9, 13)] == pytest.approx([0.2, 0.8, 1.0, 0.5, 0.1])
    cosine = rate("cosine", 0, 10)
    assert [cosine(step) for step in (0, 5, 10)] == pytest.approx([1.0, 0.5, 0.0])
    root = rate("inverse-sqrt", 4, 100)
    assert [root(step) for step in (4, 16, 36)] == pytest.approx([1.0, 0.5, 1 / 3])
    assert rate("linear", 0, 10, floor=0.2)(5) == pytest.approx(0.6)
    assert cosine(2) == pytest.approx((1 + math.cos(0.2 * math.pi)) / 2)


def test_the_first_step_moves_however_long_the_warm_up():
    assert rate("linear", 1000, 1000)(0) == pytest.approx(1 / 1001)


def test_the_warm_up_is_a_share_of_the_steps_or_a_number_of_them():
    share = learning_rate_factor(TrainingConfig(warmup_fraction=0.25), 40)
    steps = learning_rate_factor(TrainingConfig(warmup_fraction=0.9, warmup_steps=10), 40)
    assert [share(step) for step in range(50)] == [steps(step) for step in range(50)]
    longer = learning_rate_factor(TrainingConfig(warmup_steps=99), 40)
    assert longer(39) == pytest.approx(40 / 41)  # a warm-up that outlasts the run is cut at its end


def test_vectors_are_spared_weight_decay_and_frozen_weights_are_left_out():
    model = torch.nn.Sequential(
        torch.nn.Embedding(5, 4), torch.nn.Linear(4, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2)
    )
    model[3].requires_grad_(False)
    config = TrainingConfig(learning_rate=1e-3, weight_decay=0.1, adam_beta1=0.8, adam_beta2=0.9, adam_epsilon=1e-6)
    decayed, spared = build_optimizer(model, config).param_groups
    assert decayed["weight_decay"] == 0.1
    assert spared["weight_decay"] == 0.0
    assert [tuple(p.shape) for p in decayed["params"]] == [(5, 4), (4, 4)]
    assert [tuple(p.shape) for p in spared["params"]] == [(4,), (4,), (4,)]
    for group in (decayed, spared):
        assert (group["lr"], group["betas"], group["eps"]) == (1e-3, (0.8, 0.9), 1e-6)


def test_a_model_of_vectors_alone_can_be_trained():
    (group,) = build_optimizer(torch.nn.LayerNorm(4), TrainingConfig(learning_rate=1e-3)).param_groups
    assert group["weight_decay"] == 0.0


@pytest.mark.parametrize("max_norm", [0.1, 100.0])
def test_a_fused_optimizer_clips_as_one_that_is_not_fused(max_norm):
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    fused = torch.nn.Sequential(torch.nn.Linear(20, 20), torch.nn.ReLU(), torch.nn.Linear(20, 3))
    plain = copy.deepcopy(fused)
    sides = []
    for model, acceleration in ((fused, "auto"), (plain, "off")):
        config = TrainingConfig(learning_rate=1e-2, acceleration=acceleration)
        sides.append((model, accelerator.prepare_optimizer(build_optimizer(model, config))))
    for _ in range(10):
        rows = torch.randn(8, 20)
        for model, optimizer in sides:
            model(rows).square().sum().backward()
            clip_gradients(accelerator, model, optimizer, max_norm, sharded=False)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    for one, other in zip(fused.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@given(st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=4), st.integers(0, 99))
def test_the_norm_is_that_of_all_numbers(shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    gradients = [
        torch.randn(shape, generator=generator).transpose(0, -1) if shape else torch.ones(()) for shape in shapes
    ]
    numbers = torch.cat([gradient.reshape(-1) for gradient in gradients]).double()
    torch.testing.assert_close(_total_norm(gradients).double(), numbers.norm())
