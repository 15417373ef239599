"""The processor, the memory and the accelerators."""

import os
from types import SimpleNamespace

import psutil

from tests.support.doctor import one
from toolkit.doctor import Check, builds, machine
from toolkit.doctor.check import GIB


def test_gpus_that_work(torch):
    torch.cuda.is_available = lambda: True
    assert one(builds.torch_build).verdict == "ok"
    assert list(machine.devices()) == [
        Check(f"device cuda:{index}", "ok", f"Accelerator {index}, 70.0 GiB of 80.0 GiB free, bf16") for index in (0, 1)
    ]


def test_gpu_that_does_not_compute_and_gpu_that_is_full(torch):
    def ones(_, device):
        if device == "cuda:0":
            raise RuntimeError("no kernel image is available\n for execution")
        return SimpleNamespace(sum=lambda: SimpleNamespace(item=lambda: 8.0))

    torch.cuda.is_available = lambda: True
    torch.ones = ones
    torch.cuda.mem_get_info = lambda _: (GIB, 80 * GIB)
    broken, full = machine.devices()
    assert broken.verdict == "fault"
    assert "no kernel image is available for execution" in broken.finding
    assert full.verdict == "warning"


def test_threads_held_back(torch, monkeypatch):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert one(machine.processor).verdict == "ok"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    result = one(machine.processor)
    assert (result.verdict, result.finding) == ("warning", "OMP_NUM_THREADS=1 limits torch to 1 of 8 cores")
    torch.cuda.is_available = lambda: True
    assert one(machine.processor).verdict == "ok"


def test_memory_of_a_container(monkeypatch, tmp_path):
    limits = (tmp_path / "two", tmp_path / "one")
    monkeypatch.setattr(machine, "MEMORY_LIMITS", limits)
    assert machine.memory_limit() is None
    limits[0].write_text("max\n")
    assert machine.memory_limit() is None
    limits[1].write_text(f"{GIB}\n")
    result = one(machine.memory)
    assert result.verdict == "warning"
    assert "1.0 GiB" in result.finding
    assert "container" in result.finding
