"""Which of the processes of one run this is, and how many there should be.

`accelerate launch`, `torchrun` and SLURM's `srun` start a command several times and give each process its rank
through the environment. Where none of them did and there is more than one GPU, `agent.py` starts them.
"""

import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ConfigError

ECHO = 75  # exit code of a process that ended because of another, which reports the cause
PARENT = "TOOLKIT_LAUNCHER"  # variable with the number of the process that started this one
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
        """Whether `agent.start` began the process, and reports its end if it cannot do so itself."""
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
            launcher = _OURS if PARENT in environ else "the launcher"
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


def die_with_launcher(environ: Mapping[str, str]) -> None:
    """End this process when the one that started it is killed, so that nothing writes to an abandoned run (Linux)."""
    if PARENT not in environ or not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(environ[PARENT]):  # it was killed before the line above
        os.kill(os.getpid(), signal.SIGKILL)
