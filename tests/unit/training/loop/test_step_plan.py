"""How many steps fit into a limited time, by a clock that the tests set."""

import random

import pytest

from toolkit.config.settings import TrainingConfig
from toolkit.training.loop.schedule import learning_rate_factor
from toolkit.training.loop.step_plan import StepPlan

CONFIG = TrainingConfig(learning_rate=1e-4)


class Run:
    """A training whose step `n` takes `pace(n)` seconds and whose validations take `validation`."""

    def __init__(self, seconds, most, pace, *, every=50, validation=1.0, guess=None, after=0.0, restored=None):
        self.now = 0.0
        self.trained = 0.0
        self.rates = []
        self.totals = []
        plan = StepPlan(
            CONFIG,
            most,
            every,
            lambda rise: seconds - self.now - (rise - 1) * after,
            guess if guess is not None else pace(0),
            validation,
            0.0,
        )
        self.step = 0
        if restored is not None:
            plan.restore(restored)
            self.step = restored["step"]
        plan.begin(self.step, 0.0)
        self.validations = 0
        while self.step < plan.total:
            self.rates.append(plan.factor(self.step))
            self.now += pace(self.step)
            self.trained += pace(self.step)
            self.step += 1
            plan.after(self.step, self.trained)
            self.totals.append(plan.total)
            if self.step == plan.total or (self.step % every == 0 and plan.validate):
                self.now += validation
                self.validations += 1
                plan.validated(validation, self.trained)
        self.plan = plan
        self.last_validated = bool(self.step) and self.totals[-1] == self.step


@pytest.mark.parametrize("seed", range(40))
def test_plan_fits_into_the_time(seed):
    draw = random.Random(seed)
    usual = 10 ** draw.uniform(-1.5, 0)
    pace = [usual * draw.uniform(0.5, 1.5) for _ in range(5000)]
    seconds = draw.uniform(5, 60)
    validation = draw.uniform(0, 0.1) * seconds
    run = Run(seconds, 5000, pace.__getitem__, every=draw.randint(5, 500), validation=validation, guess=usual)
    assert run.now <= seconds + 2 * max(pace)
    assert run.now >= 0.75 * seconds - 2 * validation  # and uses what there is
    assert run.last_validated


def test_more_time_never_gives_fewer_steps():
    steps = [Run(seconds, 400, lambda _step: 0.1).step for seconds in range(1, 80)]
    assert steps == sorted(steps)
    assert steps[0] == 0
    assert steps[-1] == 400


def test_no_time_gives_no_steps():
    for seconds in (-5.0, 0.0, 1.0):
        assert Run(seconds, 400, lambda _step: 0.1).step == 0


def test_with_time_enough_the_schedule_is_the_usual_one():
    run = Run(1e6, 200, lambda _step: 0.1)
    usual = learning_rate_factor(CONFIG, 200)
    assert run.step == 200
    assert run.rates == pytest.approx([usual(step) for step in range(200)])


@pytest.mark.parametrize("change", [0.4, 1.0, 3.0])
def test_the_schedule_ends_with_the_time_also_where_the_speed_changes(change):
    run = Run(60, 10_000, lambda step: 0.1 * (change if step > 100 else 1.0), guess=0.05)
    assert run.now <= 61
    assert run.rates[-1] < 0.05  # the learning rate has come down
    assert max(run.rates) > 0.9


def test_a_slower_machine_keeps_more_time_for_what_follows():
    steady, slowed = (Run(60, 10_000, lambda step, f=f: 0.1 * (f if step > 100 else 1), after=10.0) for f in (1.0, 3.0))
    assert 60 - steady.now < 2
    assert 60 - slowed.now > 5


def test_validations_take_a_small_share():
    run = Run(100, 10_000, lambda _step: 0.1, every=10, validation=2.0)
    assert 2.0 * (run.validations - 1) <= 0.15 * run.trained
    assert run.validations > 1


def test_a_resumed_run_keeps_to_its_plan():
    whole = Run(30, 10_000, lambda _step: 0.1)
    state = {**whole.plan.facts(), "step": 100, "progress": 100 / whole.plan.total}
    again = Run(1000, 10_000, lambda _step: 0.1, restored=state)
    assert again.step == whole.step
    short = Run(5, 10_000, lambda _step: 0.1, restored=state)
    assert 100 < short.step < whole.step


def test_unlimited_run_keeps_its_schedule():
    usual = learning_rate_factor(CONFIG, 400)
    again = Run(1000, 400, lambda _step: 0.1, restored={"total": 400, "planned": None, "progress": 0.5, "step": 200})
    assert again.rates == pytest.approx([usual(step) for step in range(200, 400)])
