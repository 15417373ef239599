"""What is wrong with this machine, line by line: each check is a plain function that returns its verdict and a fix.

    ok       nothing to do
    warning  works, but slower, smaller or with fewer models than it could
    fault    training, downloads or saving will fail

No check stops another: what a check did not expect becomes a fault of its own. Nothing said here holds a token, a
password or the name of an account, so the output can be pasted into a bug report.
"""

from collections.abc import Callable, Iterable, Iterator

from toolkit.doctor.builds import torch_build, torchvision
from toolkit.doctor.check import Check, guarded
from toolkit.doctor.installation import compiled, demo, packages, pairs, python
from toolkit.doctor.machine import devices, memory, processor
from toolkit.doctor.network import cache, hub, token
from toolkit.doctor.storage import disks, run_folder

__all__ = ["CHECKS", "Check", "examine", "findings"]

# The imports of `torch_build` and below can end the whole process, so what is said before them must not wait for them.
CHECKS: tuple[tuple[str, Callable[[], Iterable[Check]]], ...] = (
    ("Python", python),
    ("packages", packages),
    ("pairs", pairs),
    ("demo", demo),
    ("Hub", hub),
    ("token", token),
    ("cache", cache),
    ("disk", disks),
    ("runs", run_folder),
    ("memory", memory),
    ("torch", torch_build),
    ("compiled code", compiled),
    ("torchvision", torchvision),
    ("processor", processor),
    ("devices", devices),
)


def examine() -> list[Check]:
    """Make every check."""
    return list(findings())


def findings() -> Iterator[Check]:
    """Yield what each check finds as soon as it is known."""
    for name, check in CHECKS:
        yield from guarded(name, check)
