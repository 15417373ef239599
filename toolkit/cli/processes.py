"""Starts a command as several processes."""

import os
import sys

from toolkit.distributed import launcher
from toolkit.distributed.membership import EndedElsewhere


def start(wanted: int | None, device: str) -> None:
    """Run this command as several processes and return their exit code, unless one is enough or they run already.

    Args:
        wanted: `training.num_processes`.
        device: `training.device`.

    Raises:
        EndedElsewhere: They have ended.
        ConfigError: There are fewer GPUs than processes.
    """
    if launcher.notice(os.environ) is not None:
        return
    number = launcher.processes(wanted, device)
    if number > 1:
        from toolkit.config import time_budget  # pydantic comes with it, which `--help` does not need

        environ = dict(os.environ)
        time_budget.hand_on_start(environ)
        raise EndedElsewhere(launcher.start([*launcher.program(), *sys.argv[1:]], number, environ))
