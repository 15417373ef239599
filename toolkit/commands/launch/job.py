"""What is to be run, and what an engine is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import toolkit

INSTALL = f"pip install --quiet finetune-toolkit=={toolkit.__version__}"
TOKEN = "HF_TOKEN"  # variable that the Hub's libraries read; only its name is written
PORT = 29500  # where the processes of several machines find each other


@dataclass(frozen=True)
class Job:
    """A command of the toolkit, and the machines that it needs.

    Attributes:
        name: Of the job, as every engine takes it.
        words: The command and its arguments, without the program.
        trains: Whether several processes and machines can work on it together.
        resumes: Whether it may be started again with `--resume`.
        pushes: Whether it needs a token of the Hub, since it pushes its result.
        nodes: Number of machines.
        gpus: Number of GPUs of each machine; None where the hardware decides.
        minutes: Time limit.
        hardware: Type of GPU or machine, as the engine names it.
        queue: Partition or queue.
        image: Container image.
        setup: Shell lines that are run first.
        volume: Storage and the folder where it is mounted, which is then the current folder.
        settings: Further values of the engine.
    """

    name: str
    words: tuple[str, ...]
    trains: bool = True
    resumes: bool = True
    pushes: bool = False
    nodes: int = 1
    gpus: int | None = 1
    minutes: int = 240
    hardware: str | None = None
    queue: str | None = None
    image: str | None = None
    setup: str | None = None
    volume: tuple[str, str] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def processes(self) -> int:
        """Number of processes on each machine where a launcher starts them: one for each GPU."""
        return max(1, self.gpus or 0) if self.trains else 1

    def arguments(self) -> tuple[str, ...]:
        """Return the words for an engine that may start the job again; with a volume it then resumes the run."""
        again = ("--resume",) if self.resumes and self.volume is not None else ()
        return (self.words[0], *again, *self.words[1:])


@dataclass(frozen=True)
class Engine:
    """A system that runs jobs.

    Attributes:
        title: Its name in sentences.
        suffix: Of the file that is written for it.
        program: Its command line, which takes the file.
        render: Returns the content of that file.
        submit: Returns the program and the arguments that hand a file over.
        takes: Options that have a meaning here, of those that not every engine has; name → pattern of its values, and
            what that is in words.
        needs: Those of them that must be given.
        needs_for_gpus: Those that must be given where the machines have GPUs.
        settings: Keys of `--set-engine` → pattern of the values; None where every key is taken that is no option.
        reserved: Keys that the options of `launch` set.
        keeps_files: Whether files that are written in the current folder outlive the job.
        several: Whether it runs one job on several machines, and takes a number of GPUs; else the hardware has both.
        must_push: Whether only a push is known to save the result.
    """

    title: str
    suffix: str
    program: str
    render: Callable[[Job], str]
    submit: Callable[[Job, str], Sequence[str]]
    takes: Mapping[str, "tuple[str, str]"]
    needs: tuple[str, ...] = ()
    needs_for_gpus: tuple[str, ...] = ()
    settings: "Mapping[str, str] | None" = None
    reserved: frozenset[str] = frozenset()
    keeps_files: bool = False
    several: bool = True
    must_push: bool = False
