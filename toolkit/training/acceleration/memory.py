"""Reuse of freed memory between steps, on CPUs with glibc.

A step makes and frees the same tensors as the step before. glibc gives large ones back to the system at once, and
allocating them again costs a page fault for each 4 KiB and the clearing of the page. While a model trains, nothing is
given back.
"""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # numbers of malloc.h
_USUAL_MMAP_MAX = 65_536
_LARGEST_THRESHOLD = 32 * 2**20  # maximum to which glibc raises the limit automatically


@contextmanager
def kept(model: Any) -> Iterator[None]:
    """Keep freed memory in the process while the block lasts, and give it back at its end.

    Args:
        model: No effect unless it is on the CPU and the C library is glibc.
    """
    on_cpu = all(parameter.device.type == "cpu" for parameter in model.parameters())
    if not on_cpu or platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        library.mallopt(_MMAP_MAX, _USUAL_MMAP_MAX)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        library.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_THRESHOLD)
        library.malloc_trim(0)
