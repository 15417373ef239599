"""`launch`: run a command of the toolkit on other machines."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.api.call.caller import Caller, called
from toolkit.commands.launch import run
from toolkit.commands.launch.check import Request


@dataclass(frozen=True)
class Launched:
    """What an engine takes to run a command.

    Attributes:
        plan: The job and its engine.
        path: The file that was written; None after a dry run.
        answer: What the engine answered; None where the file was not submitted.
    """

    plan: run.Launch
    path: Path | None
    answer: str | None

    @property
    def content(self) -> str:
        """Content of the file."""
        return self.plan.content

    @property
    def submit(self) -> str:
        """Command line that submits the file."""
        return shlex.join(self.plan.submit)

    @property
    def command(self) -> str:
        """Command line of the job."""
        return shlex.join(["toolkit", *self.plan.job.words])

    def __repr__(self) -> str:
        state = "dry run" if self.path is None else f"{self.path}{'' if self.answer is None else ', submitted'}"
        return f"<Launched on {self.plan.on}: {state}>"


def launch(
    command: Sequence[str],
    *,
    on: str,
    nodes: int = 1,
    gpus: int | None = None,
    hours: float = 4.0,
    hardware: str | None = None,
    queue: str | None = None,
    image: str | None = None,
    setup: str | None = None,
    volume: str | None = None,
    set_engine: Mapping[str, object] | Sequence[str] | None = None,
    name: str | None = None,
    output: str | Path | None = None,
    submit: bool = False,
    dry_run: bool = False,
    progress: bool | Caller = True,
) -> Launched:
    """Write what an engine takes to run a command of the toolkit on other machines, and submit it if wanted.

    Args:
        command: Words of the command line after `toolkit`: `["finetune", "text", "--data", "tickets.csv"]`. Paths are
            those of the other machine.
        on: "slurm", "hf-jobs", "sky" or "kubernetes".
        nodes: Number of machines.
        gpus: GPUs of each machine; 1 when None.
        hours: Time limit.
        hardware: Type of GPU or machine, as the engine names it.
        queue: Partition of SLURM, or queue of Kueue.
        image: Container image with the toolkit.
        setup: Shell lines that are run before the command.
        volume: STORAGE:/FOLDER, mounted as the current folder of the job.
        set_engine: Further values of the engine: key → value, or texts KEY=VALUE.
        name: Of the job; "toolkit-" and the command when None.
        output: File to write; the name of the job in the current folder when None.
        submit: Hand the file over to the engine's program.
        dry_run: Check everything and write nothing.
        progress: Whether to show a bar.

    Raises:
        ToolkitError: As the command line prints it.
    """
    if isinstance(set_engine, Mapping):
        set_engine = [f"{key}={value}" for key, value in set_engine.items()]
    options = {"hardware": hardware, "queue": queue, "image": image}
    request = Request(nodes, gpus, hours, name, setup, volume, tuple(set_engine or ()), options)
    words = [str(word) for word in command]
    with called(progress, "launch", words, {}) as caller:
        planned = run.plan(words, on, request, None if output is None else Path(output), caller.observe)
        if dry_run:
            return Launched(planned, None, None)
        if submit:
            run.check_submits(planned)
        run.write(planned)
        return Launched(planned, planned.file, run.submit(planned, caller.observe) if submit else None)
