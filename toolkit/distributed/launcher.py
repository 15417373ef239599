"""Use every device: detect that one run was started as several processes, or start them.

`accelerate launch`, `torchrun` and SLURM's `srun` start a command several times and give each process its rank
through the environment. Where none of them did and there is more than one GPU, `start` does it with the very
variables that `accelerate launch` sets, so that everything else is the same. It does not use that
command because its agent kills processes 30 seconds after a signal, before a large state is written, ends every
failure with exit code 1 below a traceback of its own, and starts no more than one process on a CPU without MPI.

    toolkit finetune …                      this process waits, passes signals on, and returns the exit code
        ├── toolkit finetune … (rank 0)     prints and writes
        └── toolkit finetune … (rank 1)     computes
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from toolkit.errors import ConfigError, RunError

ECHO = 75  # exit code of a process that ended because of another, which reports the cause
GRACE_SECONDS = 20.0  # time limit for the others to end after one has failed
LAST_SECONDS = 2.0  # the same after the main process has ended on a signal
_PARENT = "TOOLKIT_LAUNCHER"
_OURS = "this command"
_GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA's and AMD's drivers, and of WSL's
_SLURM_PORTS = range(15000, 30000)


@dataclass(frozen=True)
class Place:
    """Which of the processes of one run this is.

    Attributes:
        rank: Counted from 0 over all machines; 0 prints and writes.
        size: How many there are.
        local_rank: Counted from 0 on this machine.
        launcher: What started them, for messages.
    """

    rank: int
    size: int
    local_rank: int
    launcher: str

    @property
    def ours(self) -> bool:
        """Whether `start` began the process, and reports its end if it cannot do so itself."""
        return self.launcher == _OURS


def notice(environ: Mapping[str, str]) -> Place | None:
    """Return this process's place if a launcher started it, else None.

    Args:
        environ: Of the process.

    Raises:
        ConfigError: The launcher's variables are not numbers.
    """
    try:
        if "RANK" in environ and "WORLD_SIZE" in environ:
            launcher = _OURS if _PARENT in environ else "the launcher"
            local_rank = int(environ.get("LOCAL_RANK", environ["RANK"]))
            return Place(int(environ["RANK"]), int(environ["WORLD_SIZE"]), local_rank, launcher)
        if int(environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:  # only srun sets it, not sbatch
            tasks = int(environ["SLURM_STEP_NUM_TASKS"])
            return Place(int(environ["SLURM_PROCID"]), tasks, int(environ["SLURM_LOCALID"]), "SLURM")
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"The launcher's variables RANK, WORLD_SIZE or SLURM_… are invalid: {error}.",
            "Unset them, or start the command with `accelerate launch -m toolkit …`.",
            id="process.bad-launcher",
        ) from None
    if "ACCELERATE_MIXED_PRECISION" in environ:  # accelerate launch --num_processes 1
        return Place(0, 1, 0, "accelerate launch")
    return None


def rendezvous(place: Place, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that let the processes find each other, where the launcher did not set them.

    SLURM sets no address: it is the step's first machine, at a port derived from the job's number.
    """
    variables = {"RANK": str(place.rank), "WORLD_SIZE": str(place.size), "LOCAL_RANK": str(place.local_rank)}
    if "MASTER_ADDR" not in environ:
        variables["MASTER_ADDR"] = _first_host(environ.get("SLURM_STEP_NODELIST", "")) or "127.0.0.1"
    if "MASTER_PORT" not in environ:
        number = sum(int(environ.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
        variables["MASTER_PORT"] = str(_SLURM_PORTS[number % len(_SLURM_PORTS)])
    return variables


def _first_host(nodes: str) -> str:
    """Return the first of SLURM's hosts: "gpu[07-09,12],login" → "gpu07"."""
    prefix, bracket, rest = nodes.split(",", 1)[0].partition("[")
    return prefix + re.split(r"[-,\]]", rest)[0] if bracket else prefix


def processes(wanted: int | None, device: str) -> int:
    """Return how many processes to start: the configured number, or one for each GPU.

    Args:
        wanted: `training.num_processes`.
        device: `training.device`.

    Raises:
        ConfigError: There are fewer GPUs than processes.
    """
    if wanted == 1 or device == "mps" or (device == "cpu" and wanted is None):
        if device == "mps" and wanted is not None and wanted > 1:
            raise ConfigError(
                "There is one MPS device, which only one process can use.",
                "Use --num-processes 1.",
                id="device.too-few",
            )
        return 1
    present = 0 if device == "cpu" else count_gpus()
    if wanted is not None and 0 < present < wanted:
        raise ConfigError(
            f"{wanted} processes need as many GPUs, but there {'is' if present == 1 else 'are'} {present}.",
            f"Use --num-processes {present}, or `--set training.device=cpu`.",
            id="device.too-few",
        )
    return wanted or max(1, present)


def count_gpus() -> int:
    """Count the GPUs that this process may use; by the driver, without initializing any."""
    if sys.platform.startswith("linux") and not any(Path(file).exists() for file in _GPU_FILES):
        return 0  # known without torch, whose import takes seconds
    import torch

    return torch.cuda.device_count()


def program(entry: str = "toolkit.__main__") -> list[str]:
    """Return the command that runs this toolkit again; nothing is imported from the current folder.

    Args:
        entry: Module with the function `main` that is called.
    """
    home = str(Path(__file__).parents[2])
    prelude = f"import sys; sys.path.insert(0, {home!r}); import toolkit; sys.path.remove({home!r})"
    return [sys.executable, "-P", "-c", f"{prelude}; from {entry} import main; main()"]


def start(command: Sequence[str], number: int, environ: Mapping[str, str]) -> int:
    """Run `command` as `number` processes of one run, and wait for all of them.

    Ctrl-C and SIGTERM are passed on to the main one, at whose request all stop together. When one fails the others are
    given a little time to end.

    Args:
        command: Program and arguments, the same for each.
        number: How many.
        environ: Of this process.

    Returns:
        The exit code of the one that failed, or 0.

    Raises:
        RunError: One of them was killed, or they lost contact.
    """
    port = _free_port()
    with _Processes() as processes:
        for rank in range(number):
            variables = {**environ, **_variables(rank, number, port, environ)}
            processes.add(subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, start_new_session=True))
        processes.wait()
    return processes.outcome()


def _variables(rank: int, number: int, port: int, environ: Mapping[str, str]) -> dict[str, str]:
    threads = environ.get("OMP_NUM_THREADS") or str(max(1, _cores() // number))
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(number),
        "LOCAL_WORLD_SIZE": str(number),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": threads,
        _PARENT: str(os.getpid()),
    }


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Processes:
    """The processes of one run, with the handling of failures and signals."""

    def __init__(self) -> None:
        self.members: list[subprocess.Popen[bytes]] = []
        self.signals = 0
        self._before: dict[int, Any] = {}
        self._ended: set[int] = set()  # ranks that were ended from here

    def __enter__(self) -> "_Processes":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def add(self, member: subprocess.Popen[bytes]) -> None:
        """Add a process."""
        self.members.append(member)

    def wait(self) -> None:
        """Wait until all have ended."""
        deadline = float("inf")
        while any(member.poll() is None for member in self.members):
            failed = any(member.poll() not in (None, 0) for member in self.members)
            if self.signals and self.members[0].poll() is not None:
                deadline = min(deadline, time.monotonic() + LAST_SECONDS)
            elif failed and not self.signals:  # the main one may take longer, to write its state
                deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
            if time.monotonic() > deadline:
                self._kill()
            time.sleep(0.05)

    def outcome(self) -> int:
        """Return the exit code of the run: of the process that failed, not of those that ended because of it."""
        codes = {rank: member.returncode for rank, member in enumerate(self.members) if rank not in self._ended}
        failures = [code for code in codes.values() if code > 0 and code != ECHO]
        if failures:
            return failures[0]
        killed = {rank: -code for rank, code in codes.items() if code < 0}
        if killed and self.signals:
            return 128 + next(iter(killed.values()))
        if killed:
            rank, number = next(iter(killed.items()))
            raise RunError(
                f"Process {rank} of {len(self.members)} was terminated by {signal.Signals(number).name}.",
                "Resume with the same command and --resume. If memory ran out, lower `training.micro_batch_size` "
                "or --num-processes.",
                id="process.ended",
            )
        if any(codes.values()):
            raise RunError(
                "The processes of the run lost contact.",
                "Resume with the same command and --resume.",
                id="process.lost",
            )
        return 0

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.signals += 1
        if self.signals > 2:  # neither the first nor the second had an effect
            for member in self.members:
                member.kill()
        elif self.members:
            self.members[0].send_signal(number)

    def _kill(self) -> None:
        for rank, member in enumerate(self.members):
            if member.poll() is None:
                self._ended.add(rank)
                member.kill()
        for member in self.members:
            member.wait()


def die_with_launcher(environ: Mapping[str, str]) -> None:
    """End this process when the one that started it is killed, so that nothing writes to an abandoned run (Linux)."""
    if _PARENT not in environ or not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(environ[_PARENT]):  # it was killed before the line above
        os.kill(os.getpid(), signal.SIGKILL)
