"""The range test finds the valley of a loss whose shape is known, and ends when it diverges."""

import math

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st

from toolkit.config.settings import TrainingConfig
from toolkit.data.batching.batch import Features
from toolkit.training.loop import lr_range_test as module
from toolkit.training.loop.arguments import TrainingData
from toolkit.training.loop.lr_range_test import Sweep, is_valley, range_test, smooth, suggest


class Parabola(torch.nn.Module):
    """A loss of one weight: AdamW walks towards 1 by the learning rate at each step."""

    def __init__(self, blow_up: float = math.inf):
        super().__init__()
        self.weight, self.blow_up, self.calls = torch.nn.Parameter(torch.zeros(1, 1)), blow_up, 0

    def forward(self, labels, **_):
        self.calls += 1
        loss = ((self.weight - 1) ** 2).mean() + 0.0 * labels.sum()
        return type("Output", (), {"loss": loss if self.calls < self.blow_up else loss * math.nan})


def run(model, steps=60, **options):
    features = Features({"labels": np.zeros(10, np.int64)}, np.ones(10, np.int64))
    sweep = Sweep(options.pop("lowest", 1e-6), options.pop("highest", 10.0), steps)
    data = TrainingData(features, lambda rows: {"labels": torch.tensor([int(row["labels"]) for row in rows])})
    return range_test(
        model,
        data,
        TrainingConfig(batch_size=4, learning_rate=1e-3, weight_decay=0.0, ema_decay=0.9),
        Accelerator(cpu=True),
        sweep=sweep,
        **options,
    )


def test_rates_rise_exponentially_and_the_test_ends_when_the_loss_bursts():
    notes = []
    result = run(Parabola(), highest=1e3, observe=lambda done, total: notes.append((done, total)))
    assert result.burst
    assert result.learning_rates[0] == pytest.approx(1e-6)
    assert np.ptp(np.diff(np.log(result.learning_rates))) < 1e-9
    assert 10 < len(result.losses) < 60
    assert len(result.losses) == len(result.smoothed) == len(result.learning_rates)
    assert result.smoothed[-1] > 4 * min(result.smoothed)
    assert notes == [(step, 60) for step in range(1, len(result.losses) + 1)]
    assert result.losses[0] == 1.0
    assert 1e-4 < result.suggestion < 0.2


def test_without_a_burst_every_step_is_taken():
    result = run(Parabola(), highest=1e-2)
    assert not result.burst
    assert len(result.losses) == 60
    assert result.learning_rates[-1] == pytest.approx(1e-2)


def test_a_loss_that_is_no_number_ends_the_test_and_does_not_count():
    result = run(Parabola(blow_up=30))
    assert result.burst
    assert len(result.losses) == 29
    assert all(map(math.isfinite, result.smoothed))


def test_the_suggestion_is_the_smaller_of_both_marks():
    rates = [10.0 ** (n / 10) for n in range(-40, 0)]
    steep_late = [1.0 - n / 1000 for n in range(30)] + [0.9, 0.5] + [2.0] * 8
    assert suggest(rates, steep_late) == pytest.approx(rates[31] / 10, rel=0.01)
    steep_early = [1.0] * 10 + [0.2] + [0.2 - n / 1000 for n in range(29)]
    assert suggest(rates, steep_early) == pytest.approx(rates[10], rel=0.01)
    assert suggest(rates, [1.0 + n for n in range(40)]) is None
    assert suggest([], []) is None


def test_a_range_that_misses_the_valley_is_not_called_clear():
    noise = np.random.default_rng(0).normal(0, 0.05, 100)
    rates = np.linspace(0, 1, 100)
    valley = 0.7 - np.minimum(rates, 0.7) + 4 * np.maximum(rates - 0.8, 0)
    for shape, clear in ((valley, True), (0.7 - 0.4 * rates, False), (np.full(100, 0.7), False), (0.7 + rates, False)):
        losses = (shape + noise).tolist()
        assert is_valley(losses, smooth(losses)) is clear
    assert run(Parabola(), highest=1e3).clear
    assert not run(Parabola(), highest=1e-4).clear


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30))
def test_smoothing_stays_between_the_extremes_and_begins_with_the_first(losses):
    smoothed = smooth(losses)
    assert smoothed[0] == pytest.approx(losses[0])
    assert all(min(losses) - 1e-9 <= value <= max(losses) + 1e-9 for value in smoothed)
    assert smooth([2.0] * 5) == pytest.approx([2.0] * 5)
    assert smooth([0.0, 1.0])[1] == pytest.approx(0.1 / (1 - module.SMOOTHING**2))
