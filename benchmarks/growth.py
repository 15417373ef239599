"""The cost of growing data: `python -m benchmarks.growth`, on the CPU, some minutes.

    length   one training step of the packaged MiniLM on the same number of tokens, in examples of growing length;
             and the same step padded, as it would be with examples of mixed lengths
    rows     `toolkit finetune` on tables of growing size, for the same few steps: what reading, checking, splitting
             and tokenizing cost in time and memory

The result is printed as Markdown and written to benchmarks/results/growth-cpu.json.
"""

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.finetune import MODEL, RESULTS, called, measure_machine, write

TOKENS = 2048  # in one step, for any length
TINY = "pkg://cognition/model"
STEPS = 20
PROGRAM = """
import atexit, resource
from toolkit.cli import main
atexit.register(lambda: print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
main()
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="The cost of growing data.")
    parser.add_argument("--lengths", default="16,32,64,128,256", help="tokens of an example, separated by commas")
    parser.add_argument("--rows", default="1000,10000,100000", help="rows of a table, separated by commas")
    parser.add_argument("--repeats", type=int, default=5, help="steps of which the median is taken")
    parser.add_argument("--output", type=Path, default=RESULTS / "growth-cpu.json")
    options = parser.parse_args(arguments)
    record: dict[str, Any] = {
        "command": called("growth", arguments),
        "date": datetime.now(UTC).date().isoformat(),
        **measure_machine(),
        "length": lengths([int(n) for n in options.lengths.split(",") if n], options.repeats),
        "rows": [rows(int(n)) for n in options.rows.split(",") if n],
    }
    write(record, options.output)
    sys.stdout.write(markdown(record))
    return 0


def lengths(wanted: Sequence[int], repeats: int) -> list[dict[str, float]]:
    """Return the median seconds of a training step for each length, unpadded and padded to twice the mean."""
    import numpy as np
    import torch
    from transformers import AutoModelForSequenceClassification

    from toolkit import models, sources
    from toolkit.data.batching.batch import pad
    from toolkit.training.acceleration.accelerate_model import accelerated

    torch.manual_seed(0)
    path = sources.package_path(MODEL.removeprefix("pkg://"))
    with models.quiet():
        model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=2, attention_probs_dropout_prob=0.0)
    model.train()
    draw = np.random.default_rng(0)
    results = []
    for length in wanted:
        # half of the examples are short, half long, so that a padded batch is a quarter to a third padding
        sizes = [max(4, length // 2), length + length // 2] * max(1, TOKENS // length // 2)
        batch = pad([{"input_ids": draw.integers(1000, 2000, n), "labels": 0} for n in sizes], {})
        seconds: dict[str, list[float]] = {"unpadded": [], "padded": []}
        for _ in range(repeats + 1):
            with accelerated(model, batch) as quick:
                assert quick.packing is not None
                start = time.perf_counter()
                with quick.packing.batch(batch, "cpu"):
                    model(**batch).loss.backward()
                seconds["unpadded"].append(time.perf_counter() - start)
            model.zero_grad(set_to_none=True)
            start = time.perf_counter()
            model(**batch).loss.backward()
            seconds["padded"].append(time.perf_counter() - start)
            model.zero_grad(set_to_none=True)
        medians = {name: statistics.median(taken[1:]) for name, taken in seconds.items()}  # the first warms up
        results.append({"length": length, "examples": len(sizes), "tokens": sum(sizes), **medians})
    return results


def rows(number: int) -> dict[str, Any]:
    """Return the wall seconds and the peak memory of a run of a few steps on a table of `number` rows."""
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        lines = (f"{_sentence(draw)} {row},{('negative', 'positive')[row % 2]}\n" for row in range(number))
        with table.open("w", encoding="utf-8") as stream:
            stream.write("text,label\n")
            stream.writelines(lines)
        epochs = STEPS * 32 / (number * 0.765)  # rows of train after the held-out parts are split off
        options = ["--data", str(table), "--epochs", f"{epochs:.6f}", "--set", "evaluation.baselines=false"]
        return {"rows": number, **finetuned([*options, "--set", "data.test_fraction=0.135"], Path(folder))}


def finetuned(options: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run `toolkit finetune sentiment` with BERT-tiny; return its steps, wall seconds and peak memory.

    Args:
        options: Of the command, without those of the model and the output.
        folder: Where it runs.

    Raises:
        SystemExit: It failed, with what it printed.
    """
    words = [sys.executable, "-c", PROGRAM, "finetune", "sentiment", "--model", TINY, "--output", "run", *options]
    start = time.perf_counter()
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    peak = re.search(r"PEAK (\d+)", ended.stdout)
    if ended.returncode or peak is None:
        raise SystemExit(ended.stderr)
    training = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))["training"]
    return {
        "seconds": seconds,
        "training_seconds": training["seconds"],
        "steps": training["steps"],
        "peak_memory_mib": int(peak.group(1)),
    }


def _sentence(draw: random.Random) -> str:
    return " ".join(draw.choice(("good", "bad", "long", "short", "film", "plot", "cast")) for _ in range(12))


def markdown(record: dict[str, Any]) -> str:
    """Return both tables."""
    lines = ["| tokens an example | examples | unpadded step | padded step | tokens/s, unpadded |", "|---:" * 5 + "|"]
    lines += [
        f"| {row['length']} | {row['examples']} | {row['unpadded']:.2f} s | {row['padded']:.2f} s "
        f"| {row['tokens'] / row['unpadded']:,.0f} |"
        for row in record["length"]
    ]
    lines += ["", "| rows | whole command | of it training | peak memory |", "|---:" * 4 + "|"]
    lines += [
        f"| {row['rows']:,} | {row['seconds']:.1f} s | {row['training_seconds']:.1f} s "
        f"| {row['peak_memory_mib']:,} MiB |"
        for row in record["rows"]
    ]
    machine = record["machine"]
    lines += ["", f"{machine['processor']}, {machine['processors']} cores. {record['date']}, `{record['command']}`."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
