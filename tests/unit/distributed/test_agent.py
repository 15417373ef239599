"""Processes of one run: started, ended together, and started again."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.errors import refused
from toolkit.distributed import agent
from toolkit.distributed.agent import start
from toolkit.distributed.launcher import ECHO, Place, notice
from toolkit.errors import RunError


def program(source: str) -> list[str]:
    """A process that knows its rank as R."""
    return [sys.executable, "-S", "-c", f"import os, signal, sys, time; R = int(os.environ['RANK'])\n{source}"]


def test_each_process_gets_its_rank(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(agent, "_cores", lambda: 6)
    source = f"open(f'{tmp_path}/{{R}}', 'w').write(repr(dict(os.environ)))"
    assert start(program(source), 3, {"KEPT": "yes"}) == 0
    notes = [eval((tmp_path / str(rank)).read_text()) for rank in range(3)]
    assert [notice(item) for item in notes] == [Place(rank, 3, rank, "this command") for rank in range(3)]
    assert {(item["MASTER_ADDR"], item["OMP_NUM_THREADS"], item["KEPT"]) for item in notes} == {
        ("127.0.0.1", "2", "yes")
    }
    assert len({item["MASTER_PORT"] for item in notes}) == 1


def test_threads_that_were_set_stay(tmp_path: Path):
    source = f"open('{tmp_path}/threads', 'w').write(os.environ['OMP_NUM_THREADS'])"
    start(program(source), 1, {"OMP_NUM_THREADS": "5"})
    assert (tmp_path / "threads").read_text() == "5"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("sys.exit(0)", 0),
        (
            f"sys.exit([{ECHO}, 2, {ECHO}][R])",
            2,
        ),  # one reports the cause, the others end because of it
    ],
)
def test_the_exit_code_is_that_of_the_one_that_failed(source, code):
    assert start(program(source), 3, {}) == code


def test_launcher_reports_unreported_failures():
    with refused(RunError, "process.lost", "--resume"):
        start(program(f"sys.exit({ECHO})"), 2, {})


def test_one_that_fails_ends_the_others(monkeypatch):
    monkeypatch.setattr(agent, "GRACE_SECONDS", 0.1)
    assert start(program("sys.exit(3) if R else time.sleep(100_000)"), 2, {}) == 3


def test_one_that_was_killed_is_named(monkeypatch):
    monkeypatch.setattr(agent, "GRACE_SECONDS", 0.1)
    with refused(RunError, "process.ended", "1 of 2", "SIGKILL", "--resume") as failure:
        start(program("os.kill(os.getpid(), signal.SIGKILL) if R else time.sleep(600)"), 2, {})
    assert "--resume" in failure.value.fix


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_to_the_main_process(number, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(agent, "LAST_SECONDS", 0.1)
    source = (
        f"signal.signal({int(number)}, lambda *_: sys.exit(7 if R else 130))\n"
        f"open(f'{tmp_path}/{{R}}', 'w')\ntime.sleep(100_000)"
    )

    def ask() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        signal.raise_signal(number)

    before = signal.getsignal(number)
    thread = threading.Thread(target=ask)
    thread.start()
    assert start(program(source), 2, {}) == 130
    thread.join()
    assert signal.getsignal(number) is before


def test_unhandled_signal_gives_shell_exit_code(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(agent, "LAST_SECONDS", 0.1)

    def ask() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)

    thread = threading.Thread(target=ask)
    thread.start()
    assert start(program(f"open(f'{tmp_path}/{{R}}', 'w')\ntime.sleep(600)"), 2, {}) == 128 + signal.SIGTERM
    thread.join()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone ends a process with its parent")
def test_killed_launcher_ends_all_processes(tmp_path: Path):
    member = (
        "import os, time; from toolkit.distributed import launcher; launcher.die_with_launcher(os.environ);"
        f"open('{tmp_path}/' + str(os.getpid()), 'w'); time.sleep(600)"
    )
    launcher = (
        "import os, sys; from toolkit.distributed import agent;"
        f"agent.start([sys.executable, '-c', {member!r}], 2, os.environ)"
    )
    process = subprocess.Popen([sys.executable, "-c", launcher])
    while len(members := [int(path.name) for path in tmp_path.iterdir()]) < 2:
        time.sleep(0.01)
        assert process.poll() is None
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(_runs(member) for member in members):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def again(tmp_path: Path, source: str, **options: Any) -> int:
    """Start two processes that know their attempt as A, and write it to a file of their own."""
    note = f"A = int(os.environ['TORCHELASTIC_RESTART_COUNT']); open(f'{tmp_path}/{{A}}-{{R}}', 'w')"
    return start(program(f"{note}\n{source}"), 2, {}, **options)


def test_all_are_started_again_where_one_was_killed(tmp_path: Path) -> None:
    said: list[str] = []
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    source = f"{kill} if A < 2 and R else time.sleep(0.1)"
    assert again(tmp_path, source, restarts=3, say=said.append) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
    assert ["SIGKILL" in text for text in said] == [True, True]


def test_the_command_of_restarts_is_its_own() -> None:
    lost = program(f"sys.exit({ECHO})")
    assert start(lost, 1, {}, restarts=1, again=program("sys.exit(0)")) == 0


def test_restarts_come_to_an_end(tmp_path: Path) -> None:
    with refused(RunError, "process.lost", "--resume"):
        again(tmp_path, f"sys.exit({ECHO})", restarts=1)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_failure_that_was_reported_is_not_repeated(tmp_path: Path) -> None:
    assert again(tmp_path, "sys.exit(2)", restarts=3) == 2
    assert len(list(tmp_path.iterdir())) == 2
