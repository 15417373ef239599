"""What attention costs as texts grow: time and memory against length for each form, with the fitted exponent.

    python -m benchmarks.attention                        lengths 512 to 16,384, MiniLM's heads (12 of width 32)
    python -m benchmarks.attention --longest 4096 --rounds 3
    python -m benchmarks.attention --device cuda
    python -m benchmarks.attention --count                the multiplications alone, which no other work disturbs

One forward and backward pass of attention alone, batch 1, fp32. Time on the CPU is that of the process, of one
thread, so that other work on the machine disturbs it little; on a GPU it is wall time between synchronisations.
Memory is what the pass adds at its peak. Forms take turns in every round, and the best round counts.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

FORMS = ("eager", "dense", "sliding-window:256", "block-sparse:64:3", "top-blocks:64:8", "top-k:64")
HEADS, WIDTH = 12, 32
SHORTEST = 512
MOST_COUNTED = 8192  # tokens; the plain kernel that is counted keeps all scores
FITTED_FROM = 2048  # below it fixed costs hide how a form grows


def measure(form: str, length: int, device: str) -> tuple[float, float]:
    """Return the seconds and the peak MiB of one pass, in this process.

    Args:
        form: As in `toolkit.attention.forms`, or "eager" for the equation as it stands.
        length: Tokens.
        device: "cpu" or "cuda".
    """
    import torch

    from toolkit.attention import forms, reference, sparse

    torch.manual_seed(0)
    torch.set_num_threads(1)
    inputs = [torch.randn(1, HEADS, length, WIDTH, device=device, requires_grad=True) for _ in range(3)]
    real = torch.ones(1, length, dtype=torch.bool, device=device)
    chosen = None if form == "eager" else forms.parse(form)[0]
    before = _peak(device)
    start = _clock(device)
    if chosen is None:
        output = reference.scaled_dot_product(*inputs).output
    else:
        output = sparse.attention(chosen, 0, *inputs, real)
    output.sum().backward()
    return _clock(device) - start, _peak(device) - before


def count(form: str, length: int) -> int:
    """Return the multiplications and additions of one forward pass, whatever kernel the machine would choose."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from toolkit.attention import forms, sparse

    query, key, value = torch.randn(3, 1, HEADS, length, WIDTH)
    real = torch.ones(1, length, dtype=torch.bool)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        sparse.attention(forms.parse(form)[0], 0, query, key, value, real)
    return int(counter.get_total_flops())


def _clock(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def _peak(device: str) -> float:
    """Return the peak memory so far in MiB."""
    if device == "cpu":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    import torch

    return float(torch.cuda.max_memory_allocated()) / 2**20


def exponent(lengths: Sequence[int], costs: Sequence[float]) -> float | None:
    """Return the slope of log cost over log length by least squares, or None for fewer than two lengths."""
    points = [(math.log(n), math.log(c)) for n, c in zip(lengths, costs, strict=True) if n >= FITTED_FROM and c > 0]
    if len(points) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def table(results: dict[str, dict[int, tuple[float, float]]]) -> str:
    """Lay out milliseconds and peak MiB for each form and length as a Markdown table, with the exponents."""
    cells = {
        form: {length: f"{1000 * seconds:,.0f} ms, {peak:,.0f} MiB" for length, (seconds, peak) in found.items()}
        for form, found in results.items()
    }
    return _markdown(
        cells, {form: {n: seconds for n, (seconds, _) in found.items()} for form, found in results.items()}
    )


def count_table(counted: dict[str, dict[int, int]]) -> str:
    """Lay out counts in millions as a Markdown table, with the exponents."""
    cells = {form: {n: f"{flops / 1e6:,.0f}" for n, flops in found.items()} for form, found in counted.items()}
    return _markdown(cells, counted)


def _markdown(cells: dict[str, dict[int, str]], costs: Mapping[str, Mapping[int, float]]) -> str:
    lengths = sorted({length for found in cells.values() for length in found})
    lines = [
        f"| form | {' | '.join(f'{length:,}' for length in lengths)} | exponent |",
        f"| --- | {'--: | ' * (len(lengths) + 1)}".rstrip(),
    ]
    for form, found in cells.items():
        slope = exponent(list(costs[form]), list(costs[form].values()))
        row = " | ".join(found.get(length, "–") for length in lengths)
        lines.append(f"| {form} | {row} | {'–' if slope is None else f'{slope:.2f}'} |")
    return "\n".join(lines)


def main() -> None:
    """Measure each form and length in processes of their own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longest", type=int, default=16_384)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("FORM", "LENGTH"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        measure(asked.one[0], 256, asked.device)  # what is loaded and built on first use
        sys.stdout.write(json.dumps(measure(asked.one[0], int(asked.one[1]), asked.device)) + "\n")
        return
    if asked.count:
        lengths = [SHORTEST * 2**n for n in range(20) if SHORTEST * 2**n <= min(asked.longest, MOST_COUNTED)]
        counted = {form: {n: count(form, n) for n in lengths} for form in FORMS if form != "eager"}
        sys.stdout.write(count_table(counted) + "\n")
        return
    lengths = [SHORTEST * 2**n for n in range(20) if SHORTEST * 2**n <= asked.longest]
    results: dict[str, dict[int, tuple[float, float]]] = {form: {} for form in FORMS}
    for _ in range(asked.rounds):
        for length in lengths:
            for form in FORMS:
                found = _apart(form, length, asked.device)
                if found is not None:
                    best = results[form].get(length, (math.inf, math.inf))
                    results[form][length] = (min(best[0], found[0]), min(best[1], found[1]))
    sys.stdout.write(table(results) + "\n")


def _apart(form: str, length: int, device: str) -> tuple[float, float] | None:
    """Measure in a process of its own, so that peaks do not add up; None where memory did not suffice."""
    command: list[Any] = [sys.executable, "-m", "benchmarks.attention", "--device", device, "--one", form, str(length)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None
    seconds, mebibytes = json.loads(done.stdout.splitlines()[-1])
    return seconds, mebibytes


if __name__ == "__main__":
    main()
