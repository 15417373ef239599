"""Start the processes of one run on this machine, watch them, and start them again when one was lost.

    toolkit finetune …                      this process waits, passes signals on, and returns the exit code
        ├── toolkit finetune … (rank 0)     prints and writes
        └── toolkit finetune … (rank 1)     computes

Rendezvous, ranks and restarts are those of torch's elastic agent, which `torchrun` runs too, so each process gets the
same variables. Starting and ending processes is not left to it: its `LocalElasticAgent` sends a signal to all processes
instead of to the main one, which then stops all at the same step; it returns no exit code after a signal; it ends
the others at once when one fails, before the one with the cause could report it; and it repeats a wrong configuration
as often as a killed process.
"""

import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from toolkit.distributed.launcher import ECHO, PARENT
from toolkit.errors import RunError

GRACE_SECONDS = 20.0  # time limit for the others to end after one has failed
LAST_SECONDS = 2.0  # the same after the main process has ended on a signal
_HERE = "127.0.0.1"
_EVERY_SECONDS = 0.05


def start(
    command: Sequence[str],
    number: int,
    environ: Mapping[str, str],
    *,
    restarts: int = 0,
    again: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> int:
    """Run `command` as `number` processes of one run, and wait for all of them.

    Ctrl-C and SIGTERM are passed on to the main one, at whose request all stop together. When one fails the others are
    given a little time to end.

    Args:
        command: Program and arguments, the same for each.
        number: How many.
        environ: Of this process.
        restarts: How many times they are started again after one was killed or they lost contact.
        again: The command then; `command` when None.
        say: Called when they are.

    Returns:
        The exit code of the one that failed, or 0.

    Raises:
        RunError: One of them was killed, or they lost contact.
    """
    import torch.distributed.elastic.rendezvous.registry as rendezvous
    from torch.distributed.elastic.agent.server.api import WorkerSpec
    from torch.distributed.elastic.rendezvous import RendezvousParameters

    meeting = RendezvousParameters("c10d", f"{_HERE}:0", uuid.uuid4().hex, 1, 1, local_addr=_HERE)
    spec = WorkerSpec(
        role="toolkit",
        local_world_size=number,
        rdzv_handler=rendezvous.get_rendezvous_handler(meeting),
        entrypoint=command[0],
        max_restarts=restarts,
        monitor_interval=_EVERY_SECONDS,
        local_addr=_HERE,
    )
    with _Processes() as processes:
        try:
            _agent(spec, processes, (command, again or command), environ, say).run()
        finally:
            spec.rdzv_handler.shutdown()  # ends its thread
    return processes.outcome()


def _agent(
    spec: Any,
    processes: "_Processes",
    commands: Sequence[Sequence[str]],
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> Any:
    """Return torch's elastic agent over `processes`, for the first command and the one of restarts."""
    from torch.distributed.elastic.agent.server.api import RunResult, SimpleElasticAgent, WorkerGroup, WorkerState

    class Agent(SimpleElasticAgent):
        def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
            processes.forget()
            attempt = spec.max_restarts - self._remaining_restarts
            command = commands[min(attempt, 1)]
            shared = {
                **environ,
                "MASTER_ADDR": _HERE,
                "MASTER_PORT": _free_port(),  # the agent's own store has the addresses of those before a restart
                "OMP_NUM_THREADS": environ.get("OMP_NUM_THREADS") or max(1, _cores() // spec.local_world_size),
                "TORCHELASTIC_RESTART_COUNT": attempt,
                "TORCHELASTIC_RUN_ID": spec.rdzv_handler.get_run_id(),
                "TORCHELASTIC_USE_AGENT_STORE": False,
                PARENT: os.getpid(),
            }
            for worker in worker_group.workers:
                own = {
                    "RANK": worker.global_rank,
                    "LOCAL_RANK": worker.local_rank,
                    "WORLD_SIZE": worker.world_size,
                    "LOCAL_WORLD_SIZE": spec.local_world_size,
                }
                variables = {name: str(value) for name, value in (shared | own).items()}
                processes.add(
                    subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, start_new_session=True)
                )
            return {number: member.pid for number, member in enumerate(processes.members)}

        def _monitor_workers(self, _group: WorkerGroup) -> RunResult:
            if processes.running():
                return RunResult(WorkerState.HEALTHY)
            if processes.succeeded:
                return RunResult(WorkerState.SUCCEEDED, dict.fromkeys(range(spec.local_world_size)))
            lost = processes.lost
            if lost is None:  # they would fail again
                self._remaining_restarts = 0
            elif self._remaining_restarts:
                attempt = spec.max_restarts - self._remaining_restarts + 1
                say(f"{lost.problem} Starting again from the last state ({attempt} of {spec.max_restarts}).")
            return RunResult(WorkerState.FAILED)

        def _stop_workers(self, _group: WorkerGroup) -> None:
            processes.kill()

        def _shutdown(self, *_: object, **__: object) -> None:
            processes.kill()

    return Agent(spec)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HERE, 0))
        return int(probe.getsockname()[1])


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Processes:
    """The processes of one run, with the handling of failures and signals."""

    def __init__(self) -> None:
        self.members: list[subprocess.Popen[bytes]] = []
        self.signals = 0
        self._deadline = float("inf")
        self._before: dict[int, Any] = {}
        self._ended: set[int] = set()  # ranks that were ended from here

    def __enter__(self) -> "_Processes":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def add(self, member: subprocess.Popen[bytes]) -> None:
        """Add a process."""
        self.members.append(member)

    def forget(self) -> None:
        """End all processes, so that others take their place."""
        self.kill()
        self.members.clear()
        self._ended.clear()
        self._deadline = float("inf")

    def running(self) -> bool:
        """Whether one of them runs; those that had their time after a failure or signal are ended."""
        if all(member.poll() is not None for member in self.members):
            return False
        failed = any(member.poll() not in (None, 0) for member in self.members)
        if self.signals and self.members[0].poll() is not None:
            self._deadline = min(self._deadline, time.monotonic() + LAST_SECONDS)
        elif failed and not self.signals:  # the main one may take longer, to write its state
            self._deadline = min(self._deadline, time.monotonic() + GRACE_SECONDS)
        if time.monotonic() > self._deadline:
            self.kill()
        return True

    @property
    def _codes(self) -> dict[int, int]:
        """The exit code of each rank that ended by itself."""
        return {rank: member.returncode for rank, member in enumerate(self.members) if rank not in self._ended}

    @property
    def succeeded(self) -> bool:
        """Whether all have done their work."""
        return not any(member.returncode for member in self.members)

    @property
    def lost(self) -> RunError | None:
        """What is wrong if one was killed, or contact was lost, and none has reported a failure."""
        codes = self._codes
        killed = {rank: -code for rank, code in codes.items() if code < 0}
        if self.signals or any(code > 0 and code != ECHO for code in codes.values()) or not any(codes.values()):
            return None
        if killed:
            rank, number = next(iter(killed.items()))
            return RunError(
                f"Process {rank} of {len(self.members)} was terminated by {signal.Signals(number).name}.",
                "Resume with the same command and --resume. If memory ran out, lower `training.micro_batch_size` "
                "or --num-processes.",
                id="process.ended",
            )
        return RunError(
            "The processes of the run lost contact.",
            "Resume with the same command and --resume.",
            id="process.lost",
        )

    def outcome(self) -> int:
        """Return the exit code of the run: of the process that failed, not of those that ended because of it."""
        lost = self.lost
        if lost is not None:
            raise lost
        codes = self._codes.values()
        reported = [code for code in codes if code > 0 and code != ECHO]
        killed = [128 - code for code in codes if code < 0]
        return next(iter((*reported, *killed, *filter(None, codes))), 0)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.signals += 1
        if self.signals > 2:  # neither the first nor the second had an effect
            for member in self.members:
                member.kill()
        elif self.members:
            self.members[0].send_signal(number)

    def kill(self) -> None:
        """End all that run."""
        for rank, member in enumerate(self.members):
            if member.poll() is None:
                self._ended.add(rank)
                member.kill()
        for member in self.members:
            member.wait()
