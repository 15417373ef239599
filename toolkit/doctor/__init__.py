"""Diagnosis of this machine: each check is a plain function that returns its verdict and a fix.

    ok       nothing to do
    warning  works, but slower, smaller or with fewer models than it could
    fault    training, downloads or saving will fail

No check stops another: an unexpected exception of a check becomes a fault of its own. The output contains no token,
password or account name, so it can be pasted into a bug report.
"""

from collections.abc import Callable, Iterable, Iterator

from toolkit.doctor.builds import torch_build, torchvision
from toolkit.doctor.check import Check, guarded
from toolkit.doctor.installation import compiled, demo, import_name, packages, pairs, python
from toolkit.doctor.machine import devices, memory, processor
from toolkit.doctor.network import cache, hub, token
from toolkit.doctor.storage import disks, run_folder

__all__ = ["CHECKS", "Check", "examine", "findings"]

# The imports of `torch_build` and below can end the whole process, so earlier results are printed before them.
CHECKS: tuple[tuple[str, Callable[[], Iterable[Check]]], ...] = (
    ("Python", python),
    ("name", import_name),
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
    """Run every check."""
    return list(findings())


def findings() -> Iterator[Check]:
    """Yield the result of each check as soon as it is known."""
    for name, check in CHECKS:
        yield from guarded(name, check)
