"""The space on the disks, and whether runs can be written."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from toolkit.doctor.check import GIB, Check, gib
from toolkit.environment import existing, write_problem

LOW_DISK = 5 * GIB  # bytes; a large checkpoint and the run that fine-tunes it
FULL_DISK = 500 * 2**20  # bytes; less than one small model


def disks() -> Iterator[Check]:
    """Check the space for downloads and for runs."""
    from huggingface_hub import constants

    clean = "`hf cache ls` shows what the cache holds and `hf cache rm` removes it; HF_HOME moves it to another disk."
    yield _disk("disk (cache)", Path(constants.HF_HUB_CACHE), f"Free some space: {clean}")
    yield _disk("disk (here)", Path(), "Free some space, or give --output on another disk.")


def _disk(name: str, folder: Path, fix: str) -> Check:
    free = shutil.disk_usage(existing(folder)).free
    if free < FULL_DISK:
        return Check(name, "fault", f"{free / 2**20:.0f} MiB free", fix)
    if free < LOW_DISK:
        return Check(name, "warning", f"{gib(free)} free", fix)
    return Check(name, "ok", f"{gib(free)} free")


def run_folder() -> Iterator[Check]:
    """Try to write where runs are kept."""
    from toolkit import runs

    problem = write_problem(runs.HOME)
    if problem:
        fix = "Change to a writable folder, or give --output."
        yield Check("runs", "fault", f"{runs.HOME}/ cannot be written here ({problem})", fix)
    else:
        yield Check("runs", "ok", f"{runs.HOME}/ can be written here")
