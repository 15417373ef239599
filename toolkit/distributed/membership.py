"""One of the processes of a run: which of them prints, and which reports the failure."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.distributed import launcher
from toolkit.distributed.process_group import Team, joined
from toolkit.errors import ConfigError, ProcessLost


class EndedElsewhere(Exception):
    """The run has ended, and another process reports how; this one exits with the given code.

    Args:
        code: Exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__("The run has ended; another process reports the cause.")
        self.code = code


def is_main() -> bool:
    """Whether this process is the one of its run that prints and writes, by the launcher's variables."""
    place = launcher.notice(os.environ)
    return place is None or place.rank == 0


def check_number(wanted: int | None) -> None:
    """Refuse a number of processes other than that of the processes that were started.

    Args:
        wanted: `training.num_processes`.

    Raises:
        ConfigError: With the number that a launcher started, or without a launcher.
    """
    place = launcher.notice(os.environ)
    if place is not None and wanted not in (None, place.size):
        raise ConfigError(
            f"`training.num_processes` is {wanted}, but {place.launcher} started {place.size}.",
            "Leave --num-processes out, or start the command without a launcher.",
            id="config.conflict",
        )
    if place is None and wanted is not None and wanted > 1:
        raise ConfigError(
            f"`training.num_processes` is {wanted}, but a call from Python is one process.",
            f"Run `toolkit finetune … --num-processes {wanted}`, or start the program with "
            f"`torchrun --nproc-per-node {wanted}`.",
            id="process.bad-launcher",
        )


@contextmanager
def member(device: str) -> Iterator[Team]:
    """Join the processes of the run; the first that fails reports the cause, and the others end silently.

    Args:
        device: `training.device`.
    """
    place = launcher.notice(os.environ)
    if place is not None and place.rank:
        os.environ["TRANSFORMERS_VERBOSITY"] = "error"  # only the main process shows messages of libraries
    with joined(device) as team:
        try:
            yield team
            team.wait()  # for the report; then they leave together, as NCCL requires
        except (Exception, KeyboardInterrupt) as error:
            told_by_launcher = isinstance(error, ProcessLost) and place is not None and place.ours
            if told_by_launcher or not team.first_to_fail():
                raise EndedElsewhere(launcher.ECHO) from None
            raise
