"""Processes of one run: noticed in the environment, and counted."""

import subprocess
import sys

import pytest

from tests.support.errors import refused
from toolkit.distributed import launcher as distributed_launcher
from toolkit.distributed.launcher import Place, notice, processes, rendezvous
from toolkit.errors import ConfigError

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


def test_noticing_and_counting_import_no_torch():
    program = (
        "import os, sys; from toolkit.distributed import launcher, process_group;"
        "launcher.notice(os.environ); launcher.processes(2, 'cpu');"
        "launcher._GPU_FILES = (); sys.platform != 'linux' or launcher.processes(None, 'auto');"
        "print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "False\n"


def test_counting_gpus_initializes_none():
    torch = pytest.importorskip("torch")
    assert distributed_launcher.count_gpus() == torch.cuda.device_count()
    assert not torch.cuda.is_initialized()
