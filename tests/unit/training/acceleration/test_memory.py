"""While a model trains, freed memory is reused; afterwards it is returned to the system."""

import json
import platform
import subprocess
import sys

import pytest

from toolkit.training.acceleration import memory

PAGES = 2**26 // 4096  # of what is made

# in a process of its own: where memory once ran out, as other tests see to, glibc takes large pieces elsewhere
PROGRAM = """
import json, resource
from types import SimpleNamespace
from toolkit.training.acceleration import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * size
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1])

size = 2**26
with memory.kept(SimpleNamespace(parameters=lambda: [])):
    found = {"first": faults(), "second": faults(), "inside": resident()}
print(json.dumps({**found, "afterwards": resident(), "third": faults()}))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another one")
def test_freed_memory_is_kept_within_the_block():
    output = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    result = json.loads(output.stdout)
    assert result["first"] > PAGES / 2 > 100 * result["second"]
    assert result["afterwards"] < result["inside"] - PAGES / 2
    assert result["third"] > PAGES / 2


def test_without_glibc_nothing_is_done(monkeypatch):
    import torch

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.delattr(memory, "ctypes")
    with memory.kept(torch.nn.Linear(2, 2)):
        pass
