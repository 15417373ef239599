"""`toolkit doctor`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from toolkit.cli.console import say, say_document

if TYPE_CHECKING:
    from toolkit.doctor import Check

_VERDICT_WIDTH = len("warning")
_NAME_WIDTH = len("compiled code")


def doctor() -> None:
    """Check Python, packages, devices, the Hub, your token and the disks, and show how to fix what is wrong.

    Exit code 1 when there is a fault; warnings do not count.
    """
    from toolkit.api.documents.preparation import Diagnosis
    from toolkit.doctor import findings

    checks = []
    for check in findings():
        checks.append(check)
        say(_lines(check))  # at once: a broken library can end the process at the next check
    say_document(lambda: Diagnosis.of(checks))
    say(f"\n{_verdict(checks)}")
    if any(check.verdict == "fault" for check in checks):
        raise typer.Exit(1)


def _lines(check: "Check") -> str:
    """Return the finding and, on a line below, its fix."""
    line = f"{check.verdict:<{_VERDICT_WIDTH}}  {check.name:<{_NAME_WIDTH}}  {check.finding}"
    return f"{line}\n  → {check.fix}" if check.fix else line


def _verdict(checks: Sequence["Check"]) -> str:
    faults = sum(check.verdict == "fault" for check in checks)
    cautions = sum(check.verdict == "warning" for check in checks)
    counts = f"{_count(faults, 'fault')}, {_count(cautions, 'warning')}"
    return f"Not ready: {counts}. Fix the faults first." if faults else f"Ready: {counts}."


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
