"""Several processes, one command: who starts them, and who of them speaks."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from toolkit.config import time_budget
from toolkit.distributed import launcher
from toolkit.distributed.process_group import Team, joined
from toolkit.errors import ConfigError, ProcessLost


class Told(Exception):
    """The processes of the run have said how it ended; what is left is to exit with their code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def start(wanted: int | None, device: str) -> None:
    """Run this command again as several processes and end as they do, unless one is enough or they run already.

    Args:
        wanted: `training.num_processes`.
        device: `training.device`.

    Raises:
        Told: They have ended.
        ConfigError: There are fewer GPUs than processes, or a launcher started another number.
    """
    place = launcher.notice(os.environ)
    if place is None:
        number = launcher.processes(wanted, device)
        if number > 1:
            environ = dict(os.environ)
            time_budget.hand_on_start(environ)
            raise Told(launcher.start([*launcher.program(), *sys.argv[1:]], number, environ))
    elif wanted is not None and wanted != place.size:
        raise ConfigError(
            f"`training.num_processes` is {wanted}, but {place.launcher} started {place.size}.",
            "Leave --num-processes out, or start the command without a launcher.",
            id="config.conflict",
        )


@contextmanager
def member(device: str) -> Iterator[Team]:
    """Be one of the processes of the run; the first that fails says why, and the others end in silence."""
    place = launcher.notice(os.environ)
    if place is not None and place.rank:
        os.environ["TRANSFORMERS_VERBOSITY"] = "error"  # the main process says what libraries have to say
    with joined(device) as team:
        try:
            yield team
            team.wait()  # for the report; then they leave together, as NCCL asks
        except (Exception, KeyboardInterrupt) as error:
            told_by_launcher = isinstance(error, ProcessLost) and place is not None and place.ours
            if told_by_launcher or not team.first_to_fail():
                raise Told(launcher.ECHO) from None
            raise
