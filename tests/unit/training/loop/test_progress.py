"""Which weights are kept, and when patience is over."""

import numpy as np
import pytest

from toolkit.config.settings import TrainingConfig
from toolkit.training.loop.progress import BestKeeper, Meter


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
    assert kept.since_best == 2  # patience depends only on the best


def test_without_tolerance_the_best_is_kept():
    kept, saved = keeper()
    consider(kept, [(10, 0.80), (20, 0.90), (30, 0.8999), (40, 0.90)])
    assert saved == [10, 20]


def test_weights_before_the_first_step_give_way_to_better_ones_alone():
    kept, saved = keeper(0.05)
    consider(kept, [(0, 0.80), (10, 0.79), (20, 0.78), (30, 0.81), (40, 0.80)])
    assert saved == [0, 30]


def test_the_loss_decides_between_the_first_weights_and_later_ones_within_chance_of_them():
    figures = [(0, 0.20, 0.80), (10, 0.30, 0.79), (20, 0.15, 0.70), (30, 0.15, 0.79)]  # step, loss, accuracy
    kept, saved = keeper(0.05)
    for step, loss, accuracy in figures:
        kept.consider(step, step / 10, {"loss": loss, "accuracy": accuracy})
    assert saved == [0, 30]  # step 10 has the higher loss, step 20 is further behind than chance explains


def test_weights_that_are_random_before_the_first_step_give_way_to_any():
    saved: list[int] = []
    kept = BestKeeper(TrainingConfig(best_metric="accuracy"), True, saved.append, keep_start=False)
    consider(kept, [(0, 0.80), (10, 0.10), (20, 0.05), (30, 0.20)])
    assert saved == [0, 10, 30]
    assert [validation.best for validation in kept.validations] == [True, True, False, True]


def test_the_time_left_leaves_the_first_step_out_and_counts_validations(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("toolkit.training.loop.progress.time.perf_counter", lambda: now[0])
    meter = Meter(total_steps=100, validate_every=10)
    rows = np.arange(8)
    for step in range(1, 31):
        now[0] += 30.0 if step == 1 else 0.5  # the first step warms up
        meter.count(step, step / 10, 1e-4, 0.5, rows)
        *_, last = meter.report()
        if step % 10 == 0:
            with meter.paused("validation"):
                now[0] += 4.0 if step > 10 else 8.0  # the first also warms up
            with meter.paused("saving"):
                now[0] += 1.0
        if step == 15:
            with meter.paused():  # does not recur
                now[0] += 100.0
    assert last.step == 30
    assert last.seconds_left == pytest.approx(70 * 0.5 + 8 * 5.0)  # the validation that follows this step included


def test_the_time_left_is_unknown_until_three_steps_and_within_its_limit(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("toolkit.training.loop.progress.time.perf_counter", lambda: now[0])
    limit = [1000.0]
    meter = Meter(total_steps=20, most_seconds=lambda: limit[0])
    left = []
    for step in range(1, 6):
        now[0] += 30.0 if step == 1 else 0.5
        limit[0] = 1000.0 if step < 5 else 4.0
        meter.count(step, step / 10, 1e-4, 0.5, np.arange(8))
        *_, last = meter.report()
        left.append(last.seconds_left)
    assert left == [None, None, pytest.approx(17 * 0.5), pytest.approx(16 * 0.5), 4.0]


def test_steps_count_by_the_length_of_their_examples(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("toolkit.training.loop.progress.time.perf_counter", lambda: now[0])
    meter = Meter(total_steps=100)
    for step in range(1, 12):  # the first steps happen to have short texts
        now[0] += 0.25
        meter.count(step, step / 10, 1e-4, 0.5, np.arange(8), work=0.5)
    *_, last = meter.report()
    assert last.seconds_left == pytest.approx(89 * 0.5)


def test_the_time_left_is_the_most_while_patience_may_end_before():
    kept, _ = keeper()
    kept.patience = 2
    consider(kept, [(10, 0.9), (20, 0.8)])
    assert [kept.may_stop_early(left) for left in (3, 2, 1, 0)] == [True, True, False, False]
    kept.patience = None
    assert not kept.may_stop_early(9)
