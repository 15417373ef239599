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


_LIMITED = """
import resource, sys
from toolkit.cli import main
small, large, megabytes = sys.argv[1:]
sys.argv[1:] = ["inspect", small]
try:
    main()
except SystemExit as ended:
    assert not ended.code
in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = in_use + int(megabytes) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.argv[1:] = ["inspect", large]
main()
"""


def case_no_memory(folder: Path) -> None:
    """Lack of memory is reported as such, and not as a bug of the toolkit.

    The limit starts from what is in use after the same command on a small table: with less, libraries in C end the
    process by themselves, at a place that differs from one machine to the next.
    """
    small, large = reviews(folder / "reviews.csv", 60), folder / "long.csv"
    large.write_text("text,label\n" + "".join(f"{'good film ' * 100_000}{row},{row % 2}\n" for row in range(300)))
    for megabytes in (4, 16):
        done = subprocess.run(
            [sys.executable, "-c", _LIMITED, small, large, str(megabytes)],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 1, done.stderr
        assert "machine.out-of-memory" in done.stderr, done.stderr
