"""Throughput of `toolkit serve`: callers with one text a request, one of them against many at a time.

    python -m benchmarks.serve RUN ...               one caller and 32 in turns, and the ratio of their medians
    python -m benchmarks.serve RUN --seconds 1       does everything run?

Each caller keeps its connection, and sends its next text when the answer to the last one is there. The texts are the
test rows of the run. Callers are in a process of their own that does nothing else; it shares the cores with the
service. The processor time of the service for a request is printed beside, as it depends less on what else runs.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pyarrow.parquet

from benchmarks.finetune import RESULTS, measure_machine, write


@contextmanager
def serving(run: Path, arguments: Sequence[str]) -> Iterator[tuple[tuple[str, int], psutil.Process]]:
    """Start the service; yield its address and its process."""
    words = [sys.executable, "-m", "toolkit", "serve", str(run), "--port", "0", *arguments]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = urlsplit(process.stdout.readline().split()[0])
            yield (str(address.hostname), int(address.port or 0)), psutil.Process(process.pid)
        finally:
            process.terminate()


def requests(texts: Sequence[str]) -> list[bytes]:
    """Return a request for each text."""
    made = []
    for text in texts:
        body = json.dumps({"inputs": [text]}).encode()
        head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
        made.append(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return made


async def call(address: tuple[str, int], sent: Iterator[bytes], end: float, took: list[float]) -> None:
    """Send one request after the other until the end; note how long each took."""
    reader, writer = await asyncio.open_connection(*address)
    while time.perf_counter() < end:
        began = time.perf_counter()
        writer.write(next(sent))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
        took.append(time.perf_counter() - began)
    writer.close()


async def measure(address: tuple[str, int], sent: Iterator[bytes], callers: int, seconds: float) -> list[float]:
    """Let callers send requests for some seconds; return how long each took."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    await asyncio.gather(*(call(address, sent, end, took) for _ in range(callers)))
    return took


def compare(run: Path, callers: int, rounds: int, seconds: float, arguments: Sequence[str]) -> dict[str, Any]:
    """Measure one caller and many in turns."""
    rows = pyarrow.parquet.read_table(run / "data" / "test.parquet", columns=["text"])
    sent = itertools.cycle(requests(rows["text"].to_pylist()))
    arms = {"one": 1, "many": callers}
    rates: dict[str, list[float]] = {arm: [] for arm in arms}
    latencies: dict[str, list[float]] = {arm: [] for arm in arms}
    processor: dict[str, list[float]] = {arm: [] for arm in arms}
    with serving(run, arguments) as (address, process):
        asyncio.run(measure(address, sent, callers, min(2.0, seconds)))  # warms up
        for number in range(rounds):
            for arm in sorted(arms, reverse=bool(number % 2)):
                before = process.cpu_times()
                took = asyncio.run(measure(address, sent, arms[arm], seconds))
                after = process.cpu_times()
                rates[arm].append(len(took) / seconds)
                latencies[arm] += took
                processor[arm].append((after.user + after.system - before.user - before.system) / len(took))
    medians = {arm: statistics.median(values) for arm, values in rates.items()}
    return {
        "callers": callers,
        "requests_per_second": rates,
        "median_latency": {arm: statistics.median(values) for arm, values in latencies.items()},
        "processor_seconds": {arm: statistics.median(values) for arm, values in processor.items()},
        "ratio": medians["many"] / medians["one"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+")
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", default="64")
    parser.add_argument("--output", type=Path, default=RESULTS / "serve-cpu.json")
    options = parser.parse_args(arguments)
    record: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "machine": measure_machine(), "runs": {}}
    for run in options.runs:
        result = compare(run, options.callers, options.rounds, options.seconds, ["--batch", options.batch])
        record["runs"][run.resolve().name] = result
        for arm, rates in result["requests_per_second"].items():
            print(  # noqa: T201
                f"{run.name}, {arm}: {statistics.median(rates):.1f} requests/s (median of {len(rates)}), latency "
                f"{1000 * result['median_latency'][arm]:.1f} ms, processor time of the service for a request "
                f"{1000 * result['processor_seconds'][arm]:.2f} ms"
            )
        print(f"{run.name}: ratio of the medians {result['ratio']:.2f}")  # noqa: T201
    write(record, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
