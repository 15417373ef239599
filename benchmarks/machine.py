"""The machine, and the best speed of its matrix multiplication: `python -m benchmarks.machine`."""

import json
import os
import sys
import time
from typing import Any

# (m, k, n): squares that suit any library, and the shapes of MiniLM's feed-forward layers on about 1,000 tokens.
SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (3072, 3072, 3072), (1024, 384, 1536), (1024, 1536, 384))


def describe() -> dict[str, Any]:
    """Return processor, memory, threads and versions; no host name, user name or path."""
    from toolkit import environment

    return environment.describe()


def measure_gemm(repeats: int = 12, kind: str = "fp32") -> dict[str, float]:
    """Return the best matrix multiplication speed of each shape, in GFLOP/s; 2·m·k·n FLOPs each."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[kind]
    results = {}
    for m, k, n in SHAPES:
        left, right, out = (torch.randn(shape, dtype=dtype) for shape in ((m, k), (k, n), (m, n)))
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            torch.mm(left, right, out=out)
            seconds.append(time.perf_counter() - start)
        results[f"{m}x{k}x{n}"] = round(2 * m * k * n / min(seconds) / 1e9, 1)
    return results


def main() -> None:
    """Print the measurements as JSON."""
    gemm = measure_gemm()
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    facts = {"gemm_gflops": max(gemm.values()), "gemm_gflops_by_shape": gemm, "load": load}
    sys.stdout.write(json.dumps({"machine": describe(), "now": facts}) + "\n")


if __name__ == "__main__":
    main()
