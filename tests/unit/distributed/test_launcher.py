"""Processes of one run: noticed in the environment, counted, started, and ended together."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support.errors import refused
from toolkit.distributed import launcher as distributed_launcher
from toolkit.distributed.launcher import Place, notice, processes, rendezvous, start
from toolkit.errors import ConfigError, RunError

SRUN = {
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_JOB_ID": "4242",
    "SLURM_STEP_ID": "0",
}

# --- noticing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, None),
        ({"WORLD_SIZE": "4"}, None),  # some clusters set it for every job
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, Place(3, 4, 1, "the launcher")),
        ({"RANK": "3", "WORLD_SIZE": "4"}, Place(3, 4, 3, "the launcher")),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "TOOLKIT_LAUNCHER": "7"}, Place(1, 2, 1, "this command")),
        ({"ACCELERATE_MIXED_PRECISION": "no"}, Place(0, 1, 0, "accelerate launch")),
        (SRUN, Place(5, 8, 1, "SLURM")),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, None),  # sbatch without srun
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}, None),  # one task of srun may use all of its GPUs
        ({**SRUN, "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}, Place(0, 2, 0, "the launcher")),
    ],
)
def test_launcher_variables_are_detected(environ, place):
    assert notice(environ) == place


@pytest.mark.parametrize("environ", [{"RANK": "first", "WORLD_SIZE": "2"}, {"SLURM_STEP_NUM_TASKS": "2"}])
def test_invalid_launcher_variables_are_named(environ):
    with refused(ConfigError, "process.bad-launcher", "WORLD_SIZE"):
        notice(environ)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[07-09,12],login", "gpu07"),
        ("gpu7,gpu8", "gpu7"),
        ("gpu[3]", "gpu3"),
        ("a-b[01,05]", "a-b01"),
        ("", "127.0.0.1"),
    ],
)
def test_slurm_processes_meet_on_the_first_machine(nodes, first):
    result = rendezvous(Place(5, 8, 1, "SLURM"), {**SRUN, "SLURM_STEP_NODELIST": nodes})
    assert result["MASTER_ADDR"] == first
    assert (result["RANK"], result["WORLD_SIZE"], result["LOCAL_RANK"]) == ("5", "8", "1")


def test_slurm_jobs_on_one_machine_meet_at_ports_of_their_own():
    place = Place(0, 8, 0, "SLURM")
    ports = {rendezvous(place, {**SRUN, "SLURM_JOB_ID": str(job)})["MASTER_PORT"] for job in range(500, 600)}
    assert len(ports) == 100
    assert all(1024 < int(port) < 32768 for port in ports)


def test_the_meeting_place_of_the_launcher_is_kept():
    result = rendezvous(Place(1, 2, 1, "the launcher"), {"MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "29500"})
    assert "MASTER_ADDR" not in result
    assert "MASTER_PORT" not in result


# --- counting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "device", "present", "number"),
    [
        (None, "auto", 0, 1),
        (None, "auto", 1, 1),
        (None, "auto", 4, 4),
        (None, "cuda", 4, 4),
        (None, "cpu", 4, 1),
        (2, "cpu", 4, 2),
        (2, "auto", 0, 2),
        (2, "auto", 4, 2),
        (1, "auto", 4, 1),
        (None, "mps", 0, 1),
    ],
)
def test_number_of_processes(wanted, device, present, number, monkeypatch):
    monkeypatch.setattr(distributed_launcher, "count_gpus", lambda: present)
    assert processes(wanted, device) == number


@pytest.mark.parametrize(("wanted", "device", "present"), [(3, "auto", 2), (2, "cuda", 1), (2, "mps", 0)])
def test_more_processes_than_devices_are_refused(wanted, device, present, monkeypatch):
    monkeypatch.setattr(distributed_launcher, "count_gpus", lambda: present)
    with refused(ConfigError, "device.too-few", "--num-processes"):
        processes(wanted, device)


def test_neither_noticing_nor_starting_imports_torch():
    program = (
        "import os, sys; from toolkit.distributed import launcher, process_group;"
        "launcher.notice(os.environ); launcher.processes(2, 'cpu');"
        "launcher._GPU_FILES = (); sys.platform != 'linux' or launcher.processes(None, 'auto');"
        "launcher.start([sys.executable, '-c', ''], 1, os.environ); print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"


def test_counting_gpus_initializes_none():
    torch = pytest.importorskip("torch")
    assert distributed_launcher.count_gpus() == torch.cuda.device_count()
    assert not torch.cuda.is_initialized()


# --- starting -------------------------------------------------------------------------------------------------------


def program(source: str) -> list[str]:
    """A process that knows its rank as R."""
    return [sys.executable, "-S", "-c", f"import os, signal, sys, time; R = int(os.environ['RANK'])\n{source}"]


def test_each_process_gets_its_rank(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(distributed_launcher, "_cores", lambda: 6)
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
            f"sys.exit([{distributed_launcher.ECHO}, 2, {distributed_launcher.ECHO}][R])",
            2,
        ),  # one reports the cause, the others end because of it
    ],
)
def test_the_exit_code_is_that_of_the_one_that_failed(source, code):
    assert start(program(source), 3, {}) == code


def test_launcher_reports_unreported_failures():
    with refused(RunError, "process.lost", "--resume"):
        start(program(f"sys.exit({distributed_launcher.ECHO})"), 2, {})


def test_one_that_fails_ends_the_others(monkeypatch):
    monkeypatch.setattr(distributed_launcher, "GRACE_SECONDS", 0.1)
    assert start(program("sys.exit(3) if R else time.sleep(100_000)"), 2, {}) == 3


def test_one_that_was_killed_is_named(monkeypatch):
    monkeypatch.setattr(distributed_launcher, "GRACE_SECONDS", 0.1)
    with refused(RunError, "process.ended", "1 of 2", "SIGKILL", "--resume") as failure:
        start(program("os.kill(os.getpid(), signal.SIGKILL) if R else time.sleep(600)"), 2, {})
    assert "--resume" in failure.value.fix


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_to_the_main_process(number, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(distributed_launcher, "LAST_SECONDS", 0.1)
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
    monkeypatch.setattr(distributed_launcher, "LAST_SECONDS", 0.1)

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
        "import os, sys; from toolkit.distributed import launcher;"
        f"launcher.start([sys.executable, '-c', {member!r}], 2, os.environ)"
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
