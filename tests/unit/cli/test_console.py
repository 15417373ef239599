"""Log lines of long work."""

import pytest

from toolkit.cli import console
from toolkit.events import Counted, Stage


def test_log_lines_have_remaining_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.Watcher() as watch:
        watch(Stage("Explaining"))
        for done in range(1, 41):
            now[0] += 3
            watch(Counted(done, 40))
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == ["Explaining …", "  4 of 40  1 min 48 s left", "  8 of 40  1 min 36 s left"]
    assert len(lines) == 1 + 9


def test_a_label_cannot_pass_for_a_line() -> None:
    shown = console.table([("good\nError: all is lost", "3"), ("bad", "4")])
    assert len(shown.splitlines()) == 2
    assert shown.splitlines()[1].split() == ["bad", "4"]
