"""Run commands of the toolkit in turn, each in a process of its own, forked from one that has imported the heavy
packages.

    python -m tests.support.forks FOLDER [all]     the commands as JSON on standard input, to the first that fails

FOLDER/N.out and FOLDER/N.err hold what command N printed, FOLDER/N.json its exit code and its processor time.
"""

import importlib
import json
import os
import sys
from pathlib import Path

HEAVY = (
    "torch",
    "transformers.modeling_utils",
    "transformers.activations",
    "datasets",
    "accelerate",
    "captum.attr",
    "matplotlib.figure",
    "scipy.stats",
    "toolkit.commands",
)


def main() -> None:
    """Run them."""
    folder = Path(sys.argv[1])
    for name in HEAVY:
        importlib.import_module(name)
    for number, arguments in enumerate(json.load(sys.stdin)):
        child = os.fork()
        if child == 0:
            run(arguments, folder / str(number))
        _, status, usage = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        ended = json.dumps([code, usage.ru_utime + usage.ru_stime])
        folder.joinpath(f"{number}.json").write_text(ended, encoding="utf-8")
        if code and len(sys.argv) == 2:
            break


def run(arguments: list[str], place: Path) -> None:
    """Run one command in this process, and end it."""
    from toolkit.cli import main as toolkit

    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(place.with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT), stream)
    sys.argv = ["toolkit", *arguments]
    toolkit()
    sys.exit()


if __name__ == "__main__":
    main()
