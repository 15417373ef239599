"""Texts with control characters, and outputs that cannot be written."""

import subprocess
import sys
from pathlib import Path

from tests.support.cli import environment, toolkit

TITLE, CLEAR, EIGHT_BIT, REVERSED = "\x1b]0;title\x07", "\x1b[2J", "\x9b31m", "\u202e"


def case_hostile_text_is_shown(folder: Path) -> None:
    """Control characters in texts, labels, names of files and wrong options are shown, and not sent."""
    table = folder / f"da{CLEAR}ta.csv"
    rows = [f"some {TITLE} text {n},po{EIGHT_BIT}s\nother {REVERSED} words {n},ne{CLEAR}g" for n in range(20)]
    table.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    looked = toolkit("inspect", table, cwd=folder)
    assert looked.code == 0, looked.text
    assert "po\\u009b31ms" in looked.out
    assert "da\\u001b[2Jta.csv" in looked.text
    wrong = [
        toolkit("inspect", table, f"--se{CLEAR}ed", cwd=folder),
        toolkit(f"insp{EIGHT_BIT}ect", cwd=folder),
        toolkit("inspect", f"no{CLEAR}.csv", "--debug", cwd=folder),
    ]
    for outcome in (looked, *wrong):
        assert not set("\x1b\x07\x9b\u202e\r") & set(outcome.text), outcome.text


def case_output_that_cannot_be_written(folder: Path) -> None:
    """A full disk is reported, a closed reader is no failure of the toolkit, and closed streams are ignored."""
    full, gone, closed, notes = (
        _shell(rest, folder)
        for rest in (">/dev/full", "| true; exit ${PIPESTATUS[0]}", "<&- >&- 2>&-", "--nonsense 2>/dev/full")
    )
    assert full.returncode == 1
    assert "No space left" in full.stderr
    assert "internal.unexpected" not in full.stderr
    assert (gone.returncode, gone.stderr) == (141, "")
    assert (closed.returncode, closed.stdout) == (0, "")
    assert (notes.returncode, notes.stdout) == (2, "")


def _shell(rest: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    line = f"{sys.executable} -m toolkit recipes show sentiment {rest}"
    return subprocess.run(["bash", "-c", line], cwd=folder, env=environment(), capture_output=True, text=True)
