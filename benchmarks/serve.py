"""Throughput of `toolkit serve`: callers with one text a request, one of them against many at a time.

    python -m benchmarks.serve RUN                   one caller and 32 in turns, and the ratio of their medians
    python -m benchmarks.serve RUN --seconds 1       does everything run?

Each caller keeps its connection, and sends its next text when the answer to the last one is there. The texts are the
test rows of the run. Callers are in a process of their own that does nothing else; it shares the cores with the
service, so the ratio is a lower bound of what callers on other machines see.
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
from urllib.parse import urlsplit

import pyarrow.parquet

from benchmarks.finetune import RESULTS, measure_machine, write


@contextmanager
def serving(run: Path, arguments: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Start the service; yield its address."""
    words = [sys.executable, "-m", "toolkit", "serve", str(run), "--port", "0", *arguments]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = urlsplit(process.stdout.readline().split()[0])
            yield str(address.hostname), int(address.port or 0)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--output", type=Path, default=RESULTS / "serve-cpu.json")
    options, others = parser.parse_known_args(arguments)
    rows = pyarrow.parquet.read_table(options.run / "data" / "test.parquet", columns=["text"])
    sent = itertools.cycle(requests(rows["text"].to_pylist()))
    rates: dict[int, list[float]] = {1: [], options.callers: []}
    latencies: dict[int, list[float]] = {1: [], options.callers: []}
    with serving(options.run, others) as address:
        asyncio.run(measure(address, sent, options.callers, min(2.0, options.seconds)))  # warms up
        for number in range(options.rounds):
            for callers in (1, options.callers) if number % 2 else (options.callers, 1):
                took = asyncio.run(measure(address, sent, callers, options.seconds))
                rates[callers].append(len(took) / options.seconds)
                latencies[callers] += took
    for callers, values in rates.items():
        print(  # noqa: T201
            f"{callers:3d} callers: {statistics.median(values):7.1f} requests/s (median of {len(values)}), "
            f"median latency {1000 * statistics.median(latencies[callers]):.1f} ms"
        )
    ratio = statistics.median(rates[options.callers]) / statistics.median(rates[1])
    print(f"ratio of the medians: {ratio:.2f}")  # noqa: T201
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": measure_machine(),
        "requests_per_second": {str(callers): values for callers, values in rates.items()},
        "median_seconds": {str(callers): statistics.median(values) for callers, values in latencies.items()},
        "ratio": ratio,
    }
    write(record, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
