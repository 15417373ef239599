"""Starts a command as several processes."""

import os
import sys
from typing import TYPE_CHECKING

from toolkit.cli.console import note
from toolkit.distributed import launcher
from toolkit.distributed.membership import EndedElsewhere

if TYPE_CHECKING:
    from toolkit.config.settings import TrainingConfig


def start(training: "TrainingConfig") -> None:
    """Run this command as several processes and return their exit code, unless one is enough or they run already.

    Args:
        training: Says how many, on which device, and how often they are started again.

    Raises:
        EndedElsewhere: They have ended.
        ConfigError: There are fewer GPUs than processes.
    """
    if launcher.notice(os.environ) is not None:
        return
    number = launcher.processes(training.num_processes, training.device)
    if number > 1 or training.max_restarts:
        from toolkit.config import time_budget  # pydantic comes with it, which `--help` does not need
        from toolkit.distributed import agent

        environ = dict(os.environ)
        time_budget.hand_on_start(environ)
        words = sys.argv[1:]
        again = words if "--resume" in words else [*words, "--resume"]
        program = launcher.program()
        code = agent.start(
            [*program, *words],
            number,
            environ,
            restarts=training.max_restarts,
            again=[*program, *again],
            say=note,
        )
        raise EndedElsewhere(code)
