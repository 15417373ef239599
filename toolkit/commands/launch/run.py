"""Write what an engine takes to run a command, and hand it over where that is wanted."""

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit import runs
from toolkit.commands.launch import arguments, check
from toolkit.commands.launch.hf_jobs import HF_JOBS
from toolkit.commands.launch.job import Engine, Job
from toolkit.commands.launch.kubernetes import KUBERNETES
from toolkit.commands.launch.sky import SKY
from toolkit.commands.launch.slurm import SLURM
from toolkit.errors import CallError, ConfigError, RunError
from toolkit.events import Note, Observe, Stage

ENGINES = {"slurm": SLURM, "hf-jobs": HF_JOBS, "sky": SKY, "kubernetes": KUBERNETES}
_SHOWN = 2000  # characters of what an engine says about a failure


@dataclass(frozen=True)
class Launch:
    """A job, and what its engine takes.

    Attributes:
        on: Name of the engine.
        job: What is run.
        content: Of the file.
        file: Where it is, or would be.
        submit: Program and arguments that hand it over.
    """

    on: str
    job: Job
    content: str
    file: Path
    submit: tuple[str, ...]


def plan(words: Sequence[str], on: str, request: check.Request, output: Path | None, observe: Observe) -> Launch:
    """Check a job, and make what its engine takes; nothing is written.

    Args:
        words: Command of the toolkit with its arguments.
        on: Name of the engine.
        request: Options of `launch`.
        output: File; one with the name of the job in the current folder when None.
        observe: Called with each event.

    Raises:
        CallError: The command line, an option or a value is wrong, or the result would be lost.
    """
    engine = _engine(on)
    check.check_texts(words, request)
    observe(Stage("Checking the arguments"))
    parsed = arguments.parse(words, observe)
    job = check.job(parsed, request, engine)
    data = parsed.given.get("data")
    if data is not None and not engine.keeps_files and Path(data).exists():
        observe(Note(f"{data} is on this machine. The job reads it on the other one; nothing is copied."))
    file = output or Path(f"{job.name}.{engine.suffix}")
    name = str(file) if file.is_absolute() or not str(file).startswith("-") else f"./{file}"
    return Launch(on, job, engine.render(job), file, tuple(engine.submit(job, name)))


def _engine(on: str) -> Engine:
    if on not in ENGINES:
        raise ConfigError(
            f"There is no engine `{on}`.", f"Give --on one of {', '.join(ENGINES)}.", id="config.unknown-choice"
        )
    return ENGINES[on]


def write(launch: Launch) -> None:
    """Write the file; the same content may be there already.

    Raises:
        ConfigError: A file with another content is there, or none can be written.
    """
    file = launch.file
    if file.is_file() and file.read_bytes() == launch.content.encode():
        return
    if file.exists():
        raise ConfigError(
            f"{file} already exists, with another content.",
            "Give another --output or --name, or remove it first.",
            id="output.exists",
        )
    runs.check_writable(file.absolute().parent)
    runs.write_text(file, launch.content)


def check_submits(launch: Launch) -> None:
    """Refuse to submit where the engine's program is not installed.

    Raises:
        CallError: It is not.
    """
    program = _engine(launch.on).program
    if shutil.which(program) is None:
        raise CallError(
            f"`{program}`, which takes the job, is not on this machine.",
            f"Leave --submit out, copy the file to a machine that has it, and run there: {shlex.join(launch.submit)}",
            id="launch.no-program",
        )


def submit(launch: Launch, observe: Observe) -> str:
    """Hand the file over, and return what the engine answers.

    Raises:
        RunError: It was refused.
    """
    observe(Stage(f"Submitting to {_engine(launch.on).title}"))
    done = subprocess.run(
        launch.submit, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    answer = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        raise RunError(
            f"`{launch.submit[0]}` ended with exit code {done.returncode}: {answer[-_SHOWN:] or 'it said nothing'}",
            f"{launch.file} was written. Correct the cause, then run: {shlex.join(launch.submit)}",
            id="launch.refused",
        )
    return answer
