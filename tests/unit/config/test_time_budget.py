"""How a length of time is written, and the clock of a command."""

import time

import pytest

from tests.support.errors import refused
from toolkit.commands.finetune.prepare import configure
from toolkit.config import time_budget
from toolkit.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("1.5m", 90), (" 2 H ", 7200)]
)
def test_lengths_of_time_are_read(text, seconds):
    assert time_budget.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["90", "", "s", "5 minutes", "-5m", "5m3", "1d", "nan", "infs"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="90s, 5m or 2h"):
        time_budget.seconds_of(text)


@pytest.mark.parametrize("seconds", [1, 59, 60, 90, 119, 120, 300, 3599, 3600, 5400, 86400])
def test_written_durations_are_read_again(seconds):
    assert time_budget.seconds_of(time_budget.written(seconds)) == seconds


def test_a_wrong_budget_is_refused_with_the_configuration():
    for value in ("90", "soon", 0.5, True):
        with refused(ConfigError, "config.invalid-value", "`training.budget`"):
            configure("sentiment", [("flag", {"training": {"budget": value}})])
    _, resolved = configure("sentiment", [("flag", {"training": {"budget": "5m"}})])
    assert resolved.config.training.budget == 300


def test_the_command_began_before_now_and_hands_that_on(monkeypatch):
    monkeypatch.delenv("TOOLKIT_STARTED", raising=False)
    began = time_budget.process_start()
    assert began < time.monotonic()
    environ: dict[str, str] = {}
    time_budget.hand_on_start(environ)
    monkeypatch.setenv("TOOLKIT_STARTED", environ["TOOLKIT_STARTED"])
    assert time_budget.process_start() == pytest.approx(began, abs=0.5)


def test_implausible_start_is_ignored(monkeypatch):
    for epoch in (0.0, time.time() + 1000):
        monkeypatch.setenv("TOOLKIT_STARTED", repr(epoch))
        assert 0 <= time.monotonic() - time_budget.process_start() < 3600


def test_the_clock_counts_from_the_start():
    clock = time_budget.Clock(time.monotonic() - 30, 90)
    assert clock.spent == pytest.approx(30, abs=1)
    assert clock.left + clock.spent == pytest.approx(90, abs=0.1)
