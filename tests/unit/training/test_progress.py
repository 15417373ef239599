"""Which weights are kept, and when patience is over."""

import numpy as np
import pytest

from toolkit.settings import TrainingConfig
from toolkit.training.progress import BestKeeper, Meter


def keeper(tolerance: float = 0.0, metric: str = "accuracy") -> tuple[BestKeeper, list[int]]:
    saved: list[int] = []
    config = TrainingConfig(best_metric=metric)
    return BestKeeper(config, metric != "loss", saved.append, tolerance=lambda _best: tolerance), saved


def consider(kept: BestKeeper, figures: list[tuple[int, float]]) -> None:
    for step, figure in figures:
        kept.consider(step, step / 10, {"loss": 1 - figure, "accuracy": figure})


def test_later_weights_are_kept_while_they_are_within_tolerance():
    kept, saved = keeper(0.05)
    consider(kept, [(10, 0.80), (20, 0.90), (30, 0.87), (40, 0.84)])
    assert saved == [10, 20, 30]
    assert kept.best_step == 30
    assert kept.since_best == 2  # patience looks at the best alone


def test_without_tolerance_the_best_is_kept():
    kept, saved = keeper()
    consider(kept, [(10, 0.80), (20, 0.90), (30, 0.8999), (40, 0.90)])
    assert saved == [10, 20]


def test_weights_before_the_first_step_give_way_to_better_ones_alone():
    kept, saved = keeper(0.05)
    consider(kept, [(0, 0.80), (10, 0.79), (20, 0.78), (30, 0.81), (40, 0.80)])
    assert saved == [0, 30]


def test_the_time_left_leaves_the_first_step_out_and_counts_validations(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("toolkit.training.progress.time.perf_counter", lambda: now[0])
    meter = Meter(total_steps=100, validate_every=10)
    rows = np.arange(8)
    for step in range(1, 21):
        now[0] += 30.0 if step == 1 else 0.5  # the first step warms up
        meter.count(step, step / 10, 1e-4, 0.5, rows)
        if step % 10 == 0:
            with meter.paused():
                now[0] += 4.0
    *_, last = meter.report()
    assert last.step == 20
    assert last.seconds_left == pytest.approx(80 * 0.5 + 8 * 4.0)
