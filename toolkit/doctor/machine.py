"""The processor, the memory and the accelerators."""

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.doctor.check import GIB, Check, gib, summary
from toolkit.doctor.installation import torch_module

LOW_MEMORY = 2 * GIB  # bytes; torch, a small model and its optimizer
# Files of a container's memory limit: control groups version 2, then version 1.
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def processor() -> Iterator[Check]:
    """Check the cores, and how many of them torch uses."""
    import psutil

    torch = torch_module()
    if torch is None:
        return
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    threads = torch.get_num_threads()
    limit = os.environ.get("OMP_NUM_THREADS")
    finding = f"{platform.machine()}, {cores} cores, {threads} threads"
    if limit is None:
        yield Check("processor", "ok", finding)
    elif threads >= cores or torch.cuda.is_available():
        yield Check("processor", "ok", f"{finding} (OMP_NUM_THREADS={limit})")
    else:
        finding = f"OMP_NUM_THREADS={limit} limits torch to {threads} of {cores} cores"
        yield Check("processor", "warning", finding, f"Unset OMP_NUM_THREADS, or set it to {cores}.")


def memory() -> Iterator[Check]:
    """Check the memory of the machine, or of its container."""
    import psutil

    system = psutil.virtual_memory()
    limit = memory_limit()
    total = min(system.total, limit or system.total)
    available = min(system.available, total)
    whose = " (the container's limit)" if total < system.total else ""
    finding = f"{gib(available)} of {gib(total)} available{whose}"
    if available < LOW_MEMORY:
        fix = "Close other programs, or raise the container's limit; a smaller `training.micro_batch_size` needs less."
        yield Check("memory", "warning", finding, fix)
    else:
        yield Check("memory", "ok", finding)


def memory_limit() -> int | None:
    """Return the control group's limit in bytes; psutil sees only the host's memory."""
    for path in MEMORY_LIMITS:
        try:
            return int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):  # missing, or "max"
            continue
    return None


def devices() -> Iterator[Check]:
    """Compute something on each accelerator, and check its memory and precision."""
    torch = torch_module()
    if torch is None:
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        yield _gpu(torch, index)
    if torch.backends.mps.is_available():
        yield Check("device mps", "ok", f"Apple GPU, {gib(torch.mps.recommended_max_memory())} usable")
    elif not count:
        yield Check("device cpu", "ok", "no GPU: training runs on the CPU, in fp32")


def _gpu(torch: Any, index: int) -> Check:
    name = f"device cuda:{index}"
    model = torch.cuda.get_device_name(index)
    try:
        torch.ones(8, device=f"cuda:{index}").sum().item()
        free, total = torch.cuda.mem_get_info(index)
        with torch.cuda.device(index):
            bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    except Exception as error:  # a build without code for this GPU, a GPU in exclusive use, no memory left
        fix = (
            "`nvidia-smi` shows which process uses it. If none, install a torch built for it, or set "
            "training.device=cpu."
        )
        return Check(name, "fault", f"{model} fails to compute ({summary(error)})", fix)
    finding = f"{model}, {gib(free)} of {gib(total)} free, {'bf16' if bf16 else 'no bf16 in hardware'}"
    if free < LOW_MEMORY:
        return Check(name, "warning", finding, "Another program holds its memory; `nvidia-smi` shows which.")
    return Check(name, "ok", finding)
