"""Weak and strong scaling of data-parallel training, simulated for 1 to 1,024 GPUs.

    python -m benchmarks.scaling                      simulate, and measure two processes on this machine
    python -m benchmarks.scaling --quick              the same with little to measure: does everything run?
    python -m benchmarks.scaling --table FILE.json    print a written result as Markdown tables

A step of a BERT of base size takes

    the slowest process's computation    matrix products, or the start of operations by the host, whichever is longer
    + exchange of the gradients          a ring or a tree, within and between machines, as far as it is not overlapped
    + update of the weights              bytes that AdamW and the exchange's buffers move
    or the time in which inputs are made, where that is longer.

All of it is simulated, from published bandwidths and the assumptions that the record holds. The end with one machine is
measured: two processes train on two cores as the toolkit does, and the simulation, given the measured time of
computation and of the exchange, predicts their step; the exchange is work of the same cores there, and hides behind
nothing. The result is written to benchmarks/results/scaling.json.
"""

import argparse
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import training_flops
from benchmarks.finetune import RESULTS, ROOT, called, measure_machine, write

COUNTS = tuple(2**n for n in range(11))  # GPUs
LENGTH = 128  # tokens of an example
WEAK = 64  # examples of each GPU
STRONG = 1024  # examples of a step in all
BUCKET = 25 * 2**20  # bytes of gradients that torch exchanges at once
DIRECTIONS = ("weak", "strong")


@dataclass(frozen=True)
class Cluster:
    """Machines with several GPUs each. The figures are published ones of eight H100 and eight 400 Gb/s adapters.

    Attributes:
        gpus: Of a machine.
        inside: Bytes per second that a GPU sends to others of its machine.
        outside: Bytes per second of a GPU's network adapter.
        efficiency: Share of a bandwidth that large messages reach; an assumption.
        hop_inside: Seconds of a message between GPUs of a machine; an assumption.
        hop_outside: The same between machines; an assumption.
    """

    gpus: int = 8
    inside: float = 450e9
    outside: float = 50e9
    efficiency: float = 0.8
    hop_inside: float = 3e-6
    hop_outside: float = 8e-6

    def bandwidth(self, n: int) -> float:
        """Return the bytes per second of a ring over `n` GPUs; its slowest part decides.

        Between machines, one ring for each adapter shares the bytes.
        """
        slowest = self.inside if n <= self.gpus else min(self.inside, self.gpus * self.outside)
        return self.efficiency * slowest


@dataclass(frozen=True)
class Workload:
    """What a GPU does in a step.

    Attributes:
        parameters: Numbers that are trained; each has a gradient of four bytes.
        flops: Floating-point operations of an example, forward and backward.
        rate: Floating-point operations per second that are reached: a share of the published peak.
        launches: Operations of a forward and backward pass, each started by the host.
        launch: Seconds in which the host starts one; an assumption.
        memory: Bytes per second of the GPU's memory, published.
        moved: Bytes that the update moves for each parameter, the exchange's buffers included.
        jitter: Standard deviation of the logarithm of a process's time; an assumption.
        inputs: Seconds in which a process stacks an example; measured.
    """

    parameters: int = 109_483_778
    flops: float = 0.0
    rate: float = 0.4 * 989e12
    launches: int = 0
    launch: float = 6e-6
    memory: float = 3350e9
    moved: float = 28 + 24
    jitter: float = 0.03
    inputs: float = 0.0


@dataclass(frozen=True)
class Step:
    """The time of a step by part, in seconds.

    Attributes:
        computation: Of a process without any delay.
        started: Of the host, which starts the operations; the GPU computes in the meantime.
        delay: That the slowest process adds.
        exchange: Of the gradients, as far as nothing is computed in the meantime.
        update: Of the weights.
        inputs: In which the step's inputs are made, in the meantime.
    """

    computation: float
    started: float
    delay: float
    exchange: float
    update: float
    inputs: float

    @property
    def seconds(self) -> float:
        """The whole step."""
        return max(max(self.computation, self.started) + self.delay + self.exchange + self.update, self.inputs)

    @property
    def bound(self) -> str:
        """What takes the most time, and what takes the most after that."""
        if self.inputs >= self.seconds:
            return "inputs"
        busy = "matrix products" if self.computation >= self.started else "start of operations"
        parts = {
            busy: max(self.computation, self.started),
            "slowest process": self.delay,
            "exchange of gradients": self.exchange,
            "update of weights": self.update,
        }
        first, second = sorted(parts, key=lambda name: -parts[name])[:2]
        return f"{first}, {second}"


def ring_volume(n: int, size: float) -> float:
    """Return the bytes that each process sends in an all-reduce along a ring.

    Source: Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations".

    Args:
        n: Processes.
        size: Bytes of the tensor.
    """
    return 2 * (n - 1) / n * size


def exchange(n: int, size: float, cluster: Cluster) -> float:
    """Return the seconds of an all-reduce: along a ring or a tree, whichever is faster.

    A ring sends the least bytes in 2·(n−1) hops, a pair of trees twice the bytes in 2·log₂(n) hops.
    """
    if n == 1:
        return 0.0
    hop = cluster.hop_inside if n <= cluster.gpus else cluster.hop_outside
    ring = ring_volume(n, size) / cluster.bandwidth(n) + 2 * (n - 1) * hop
    tree = 2 * size / cluster.bandwidth(n) + 2 * math.ceil(math.log2(n)) * hop
    return min(ring, tree)


def slowest(n: int, jitter: float) -> float:
    """Return the mean of the maximum of `n` lognormal times whose own mean is 1.

    It is ∫ 1 − F(x)ⁿ dx, over x from 0; F is the distribution of one of them.
    """
    if jitter == 0 or n == 1:
        return 1.0
    import numpy as np
    from scipy.stats import lognorm

    points = np.linspace(0.0, math.exp(jitter * 8), 20_001)
    below = lognorm.cdf(points, jitter, scale=math.exp(-(jitter**2) / 2)) ** n
    return float(np.trapezoid(1.0 - below, points))


def step(n: int, examples: float, workload: Workload, cluster: Cluster, *, overlap: bool) -> Step:
    """Return the time of a step.

    Args:
        n: GPUs.
        examples: Of each.
        workload: What each does.
        cluster: Where.
        overlap: Whether gradients are exchanged while the backward pass still computes, two thirds of the time, as in
            the toolkit.
    """
    computation = examples * workload.flops / workload.rate
    started = workload.launches * workload.launch
    busy = max(computation, started)
    sent = exchange(n, 4 * workload.parameters, cluster)
    if overlap:
        sent = max(sent - busy * 2 / 3, sent / 20)  # the last of some twenty buckets has nothing to hide behind
    update = workload.parameters * workload.moved / workload.memory
    return Step(
        *(computation, started, busy * (slowest(n, workload.jitter) - 1), sent if n > 1 else 0.0, update),
        examples * workload.inputs,
    )


def table(workload: Workload, cluster: Cluster, counts: Sequence[int] = COUNTS) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of both directions: weak, the same examples for each GPU; strong, the same in all."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for direction in DIRECTIONS:
        rows[direction] = []
        alone: dict[str, float] = {}
        for n in counts:
            examples = WEAK if direction == "weak" else STRONG / n
            both = {way: step(n, examples, workload, cluster, overlap=way == "toolkit") for way in WAYS}
            alone = alone or {way: both[way].seconds for way in WAYS}
            work = 1 if direction == "weak" else n
            rows[direction].append(
                {
                    "gpus": n,
                    "examples_per_gpu": examples,
                    "sent_bytes": ring_volume(n, 4 * workload.parameters),
                    **{
                        way: {
                            "seconds": both[way].seconds,
                            "examples_per_second": n * examples / both[way].seconds,
                            "efficiency": alone[way] / (work * both[way].seconds),
                            "bound": both[way].bound,
                            "parts": asdict(both[way]),
                        }
                        for way in WAYS
                    },
                }
            )
    return rows


WAYS = ("toolkit", "exchanged_after")


def simulated(quick: bool) -> tuple[Workload, Cluster]:
    """Return the workload and the machines of the table; operations are counted and inputs timed on this machine."""
    import numpy as np
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from toolkit.commands.plan.counting import count
    from toolkit.data.batching.batch import pad

    config = BertConfig(num_labels=2)
    layers = config.num_hidden_layers
    few = 2 if quick else layers
    small = BertConfig(num_labels=2, num_hidden_layers=few, hidden_size=48, intermediate_size=96)
    model = BertForSequenceClassification(small)
    draw = np.random.default_rng(0)
    rows = [{"input_ids": draw.integers(1000, 30_000, LENGTH), "labels": 0} for _ in range(WEAK)]
    batch = pad(rows[:2], {})

    def both() -> None:
        model(**batch).loss.backward()

    both()
    launches = count(both).operations
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        pad(rows, {})
        seconds.append(time.perf_counter() - start)
    torch.set_grad_enabled(True)
    flops = training_flops(config.to_dict(), [LENGTH])
    return Workload(flops=flops, launches=launches, inputs=statistics.median(seconds) / WEAK), Cluster()


def one_machine(quick: bool) -> dict[str, Any]:
    """Measure two processes on this machine, and predict their step from its parts."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = [sys.executable, "-P", "-c", WORKER, str(ROOT), "quick" if quick else "whole"]
    settings = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            words,
            env={**os.environ, **settings, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError("one of the two processes failed")
    measured: dict[str, Any] = json.loads(printed[0].splitlines()[-1])
    predicted = measured["computation"] * slowest(2, measured["jitter"]) + measured["exchange"]
    return {**measured, "predicted": predicted, "ratio": predicted / measured["step"]}


WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
from benchmarks.scaling import work
work(quick=sys.argv[2] == "quick")
"""


def work(*, quick: bool) -> None:
    """Measure as one of two processes: computation alone, the exchange alone, and steps with both.

    The main process prints one JSON object of medians in seconds.
    """
    import torch
    from accelerate import Accelerator
    from transformers import BertConfig, BertForSequenceClassification

    from toolkit.data.batching.batch import pad
    from toolkit.distributed.process_group import joined
    from toolkit.training.distributed import data_parallel

    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    wide = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    rounds = 3 if quick else 15
    with joined("cpu") as team:
        torch.manual_seed(team.rank)
        model = BertForSequenceClassification(BertConfig(num_labels=2, **(sizes if quick else wide)))
        rows = [{"input_ids": torch.randint(1000, 30_000, (32,)).numpy(), "labels": n % 2} for n in range(16)]
        batch, size = pad(rows, {}), 4 * sum(parameter.numel() for parameter in model.parameters())
        accelerator = Accelerator(cpu=True)
        wrapped = data_parallel.replicated(accelerator, data_parallel.loss_module(model))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
        gradients = torch.split(torch.zeros(size // 4), BUCKET // 4)

        def compute(*, exchanged: bool) -> float:
            start = time.perf_counter()
            with nullcontext() if exchanged else accelerator.no_sync(wrapped):
                wrapped(lambda: model(**batch).loss).backward()
            return time.perf_counter() - start

        def exchange_alone() -> float:
            start = time.perf_counter()
            for bucket in gradients:
                team.add_up(bucket)
            return time.perf_counter() - start

        def update() -> float:
            start = time.perf_counter()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return time.perf_counter() - start

        seconds: dict[str, list[float]] = {"computation": [], "exchange": [], "step": []}
        for number in range(rounds + 1):
            team.wait()
            alone = compute(exchanged=False) + update()
            team.wait()  # both exchange at once, so no waiting is counted
            sent = exchange_alone()
            team.wait()
            whole = compute(exchanged=True) + update()
            if number:  # the first round warms up
                for name, value in zip(seconds, (alone, sent, whole), strict=True):
                    seconds[name].append(value)
        everyones = team.everyones(seconds)
        if team.is_main:
            own = [math.log(value) for one in everyones for value in one["computation"]]
            medians = {name: statistics.median(value for one in everyones for value in one[name]) for name in seconds}
            facts = {
                "processes": team.size,
                "gradient_bytes": size,
                "sent_bytes": ring_volume(team.size, size),
                "bytes_per_second": ring_volume(team.size, size) / medians["exchange"],
                "jitter": statistics.stdev(own),
                "rounds": rounds,
                **medians,
            }
            sys.stdout.write(json.dumps(facts) + "\n")


def markdown(record: Mapping[str, Any]) -> str:
    """Return the tables."""
    lines = []
    titles = {
        "weak": f"Weak scaling: {WEAK} examples of {LENGTH} tokens for each GPU.",
        "strong": f"Strong scaling: {STRONG:,} examples of {LENGTH} tokens in each step.",
    }
    for direction in DIRECTIONS:
        lines += [
            titles[direction],
            "",
            "| GPUs | examples each | MB sent each | step | examples/s | efficiency | bound by | without overlap |",
            "|" + "---:|" * 6 + "---|---:|",
        ]
        for row in record["rows"][direction]:
            own, other = (row[way] for way in WAYS)
            lines.append(
                f"| {row['gpus']:,} | {row['examples_per_gpu']:,.0f} | {row['sent_bytes'] / 1e6:,.0f} "
                f"| {own['seconds'] * 1e3:,.1f} ms | {own['examples_per_second']:,.0f} | {own['efficiency']:.0%} "
                f"| {own['bound']} | {other['efficiency']:.0%} |"
            )
        lines.append("")
    here = record["one_machine"]
    lines += [
        f"Measured on {record['machine']['processor']}: {here['processes']} processes send "
        f"{here['sent_bytes'] / 1e6:,.0f} MB each in {here['exchange'] * 1e3:,.0f} ms, compute "
        f"{here['computation'] * 1e3:,.0f} ms, and take {here['step'] * 1e3:,.0f} ms for a step; predicted from its "
        f"parts: {here['predicted'] * 1e3:,.0f} ms ({here['ratio'] - 1:+.0%}). {record['date']}, "
        f"`{record['command']}`.",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description="Scaling over GPUs.")
    parser.add_argument("--quick", action="store_true", help="a small model and few rounds: does everything run?")
    parser.add_argument("--output", type=Path, default=RESULTS / "scaling.json")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print a written result")
    options = parser.parse_args(arguments)
    if options.table is not None:
        sys.stdout.write(markdown(json.loads(options.table.read_text(encoding="utf-8"))))
        return 0
    workload, cluster = simulated(options.quick)
    record = {
        "command": called("scaling", arguments),
        "date": datetime.now(UTC).date().isoformat(),
        **measure_machine(),
        "workload": asdict(replace(workload, flops=float(workload.flops))),
        "cluster": asdict(cluster),
        "one_machine": one_machine(options.quick),
        "rows": table(workload, cluster),
    }
    write(record, options.output)
    sys.stdout.write(markdown(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
