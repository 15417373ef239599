"""The cost of attention by length: time and memory against length for each form, with the fitted exponent.

    python -m benchmarks.attention                        lengths 512 to 16,384, MiniLM's heads (12 of width 32)
    python -m benchmarks.attention --longest 4096
    python -m benchmarks.attention --device cuda
    python -m benchmarks.attention --table FILE.json      print a written result as Markdown tables
    python -m benchmarks.attention --count                the number of multiplications, independent of other load

One forward and backward pass of attention alone, batch 1, fp32 (bf16 on a GPU), each form and length in a process of
its own. Time on the CPU is that of the process, of one thread, which other work on the machine affects little; on
a GPU it is wall time between synchronisations. The fastest pass counts. Memory is what the passes add at their peak.
The result is written to benchmarks/results/.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.finetune import RESULTS, measure_machine, say, write

FORMS = ("eager", "dense", "sliding-window:256", "block-sparse:64:3", "top-blocks:64:8", "top-k:64")
HEADS, WIDTH = 12, 32
SHORTEST = 512
KEEPING_SCORES = ("eager", "top-k:64")  # forms that hold T × T numbers
MOST_KEPT = 4096  # tokens for them: 5 GiB
MOST_COUNTED = 8192  # tokens; the plain kernel that is counted keeps all scores, forward alone
PASSES, SECONDS = 5, 4.0  # as many passes, or as few as take so long
FITTED_FROM = 2048  # below it fixed costs dominate


def measure(form: str, length: int, device: str) -> tuple[float, float]:
    """Return the seconds of the fastest pass and the peak MiB, in this process.

    Args:
        form: As in `toolkit.attention.forms`, or "eager" for the plain equation.
        length: Tokens.
        device: "cpu" or "cuda".
    """
    import torch

    from toolkit.attention import forms, reference
    from toolkit.attention.implementations import sparse

    torch.manual_seed(0)
    torch.set_num_threads(1)
    kind = torch.bfloat16 if device == "cuda" else torch.float32
    shape = (1, HEADS, length, WIDTH)
    query, key, value = (torch.randn(shape, device=device, dtype=kind, requires_grad=True) for _ in range(3))
    real = torch.ones(1, length, dtype=torch.bool, device=device)
    chosen = None if form == "eager" else forms.parse(form)[0]
    before = peak(device)
    taken: list[float] = []
    while not taken or (len(taken) < PASSES and sum(taken) < SECONDS):
        start = clock(device)
        if chosen is None:
            output = reference.scaled_dot_product(query, key, value).output
        else:
            output = sparse.attention(chosen, 0, query, key, value, real)
        output.sum().backward()
        taken.append(clock(device) - start)
        for tensor in (query, key, value):
            tensor.grad = None
    return min(taken), peak(device) - before


def count(form: str, length: int) -> int:
    """Return the multiplications and additions of one forward pass, for any kernel."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from toolkit.attention import forms
    from toolkit.attention.implementations import sparse

    query, key, value = torch.randn(3, 1, HEADS, length, WIDTH)
    real = torch.ones(1, length, dtype=torch.bool)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        sparse.attention(forms.parse(form)[0], 0, query, key, value, real)
    return int(counter.get_total_flops())


def clock(device: str) -> float:
    """Return the seconds of this process so far; on a GPU the wall time after all work is completed."""
    if device == "cpu":
        return time.process_time()
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def peak(device: str) -> float:
    """Return the peak memory so far in MiB."""
    if device == "cpu":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    import torch

    return float(torch.cuda.max_memory_allocated()) / 2**20


def exponent(lengths: Sequence[int], costs: Sequence[float], start: int = FITTED_FROM) -> float | None:
    """Return the slope of log cost over log length by least squares, or None for fewer than two lengths."""
    points = [(math.log(n), math.log(c)) for n, c in zip(lengths, costs, strict=True) if n >= start and c > 0]
    if len(points) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    slope: float = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return slope


def table(record: Mapping[str, Any]) -> str:
    """Lay out milliseconds, then peak MiB, for each form and length as Markdown tables, with the exponents."""
    forms: dict[str, Any] = record["forms"]
    seconds = {form: {int(n): cell["seconds"] for n, cell in lengths.items()} for form, lengths in forms.items()}
    memory = {form: {int(n): cell["peak_mib"] for n, cell in lengths.items()} for form, lengths in forms.items()}
    milliseconds = {form: {n: f"{1000 * value:,.0f}" for n, value in own.items()} for form, own in seconds.items()}
    mebibytes = {form: {n: f"{value:,.0f}" for n, value in own.items()} for form, own in memory.items()}
    return f"milliseconds\n\n{markdown(milliseconds, seconds)}\n\nMiB at the peak\n\n{markdown(mebibytes, memory)}"


def count_table(counted: dict[str, dict[int, int]]) -> str:
    """Lay out counts in millions as a Markdown table, with the exponents."""
    cells = {form: {n: f"{flops / 1e6:,.0f}" for n, flops in by_length.items()} for form, by_length in counted.items()}
    return markdown(cells, counted)


def markdown(
    cells: Mapping[str, Mapping[int, str]],
    costs: Mapping[str, Mapping[int, float]],
    title: str = "form",
    start: int = FITTED_FROM,
) -> str:
    """Lay out cells for each name and length as a Markdown table, with the exponents of the costs from `start` on."""
    lengths = sorted({length for by_length in cells.values() for length in by_length})
    lines = [
        f"| {title} | {' | '.join(f'{length:,}' for length in lengths)} | exponent |",
        f"| --- | {'--: | ' * (len(lengths) + 1)}".rstrip(),
    ]
    for form, by_length in cells.items():
        slope = exponent(list(costs[form]), list(costs[form].values()), start)
        row = " | ".join(by_length.get(length, "–") for length in lengths)
        lines.append(f"| {form} | {row} | {'–' if slope is None else f'{slope:.2f}'} |")
    return "\n".join(lines)


def main() -> None:
    """Measure each form and length in processes of their own, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longest", type=int, default=16_384)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--output", type=Path, help="default benchmarks/results/attention-DEVICE.json")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print this result as Markdown and run nothing")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("FORM", "LENGTH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.one[0], 256, arguments.device)  # loaded and built on first use
        sys.stdout.write(json.dumps(measure(arguments.one[0], int(arguments.one[1]), arguments.device)) + "\n")
        return
    lengths = [SHORTEST * 2**n for n in range(20) if SHORTEST * 2**n <= arguments.longest]
    if arguments.count:
        counted = {form: {n: count(form, n) for n in lengths if n <= MOST_COUNTED} for form in FORMS if form != "eager"}
        sys.stdout.write(count_table(counted) + "\n")
        return
    if arguments.table is None:
        record = {
            "command": "python -m benchmarks.attention" + (" --device cuda" if arguments.device == "cuda" else ""),
            "date": datetime.now(UTC).date().isoformat(),
            **measure_machine(),
            "heads": HEADS,
            "width": WIDTH,
            "forms": {form: _lengths(form, lengths, arguments.device) for form in FORMS},
        }
        write(record, arguments.output or RESULTS / f"attention-{arguments.device}.json")
    else:
        record = json.loads(arguments.table.read_text(encoding="utf-8"))
    sys.stdout.write(table(record) + "\n")


def _lengths(form: str, lengths: Sequence[int], device: str) -> dict[str, dict[str, float]]:
    """Measure a form at each length in processes of its own, so that peaks do not add up; up to the memory limit."""
    results: dict[str, dict[str, float]] = {}
    for length in lengths:
        if form in KEEPING_SCORES and length > MOST_KEPT:
            break
        command = [sys.executable, "-m", "benchmarks.attention", "--device", device, "--one", form, str(length)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            break
        seconds, mebibytes = json.loads(done.stdout.splitlines()[-1])
        results[str(length)] = {"seconds": seconds, "peak_mib": mebibytes}
        say(f"{form} at {length:,}: {1000 * seconds:.0f} ms, {mebibytes:.0f} MiB")
    return results


if __name__ == "__main__":
    main()
