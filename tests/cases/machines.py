"""Machines with limits: no home folder, no memory."""

import subprocess
import sys
from pathlib import Path

from tests.support.checkpoints import reviews
from tests.support.cli import environment, toolkit

NOWHERE = "/dev/null/home"  # cannot be made, not even by the superuser


def case_no_home(folder: Path) -> None:
    """Local data and a local model need no home folder; nothing is written except to the temporary one."""
    here, temporary = folder / "here", folder / "tmp"
    here.mkdir()
    temporary.mkdir()
    table = reviews(folder / "reviews.csv", 60)
    without = {"HOME": NOWHERE, "XDG_CACHE_HOME": "", "TMPDIR": str(temporary)}
    call = ("finetune", "sentiment", "--model", "pkg://cognition/model", "--data", table, "--dry-run")
    outcome = toolkit(*call, cwd=here, env=without, fresh=True)
    assert outcome.code == 0, outcome.text
    assert list(here.iterdir()) == []


def case_no_memory(folder: Path) -> None:
    """Lack of memory is reported as such, and not as a bug of the toolkit."""
    table = reviews(folder / "reviews.csv", 60)
    for megabytes in (150, 300):
        command = f"ulimit -v {megabytes * 1024}; {sys.executable} -m toolkit inspect {table}"
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment(), capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 1, done.stderr
        assert "Memory ran out" in done.stderr
        assert "internal.unexpected" not in done.stderr
