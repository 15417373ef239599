"""Quality on long reviews against cost: `python -m benchmarks.long_reviews`, on the CPU, some minutes to an hour.

IMDB reviews of at least 400 words are read whole by sparse attention, with positions extended from 512 tokens, and cut
at 256 and 512 tokens by dense attention. Every variant is one `toolkit finetune sentiment` on the same rows, evaluated
on the same held-out rows. Cost is the processor time of the whole command, on one thread, and its peak memory, which
other work on the machine disturbs little. The result is printed as Markdown and written to benchmarks/results/.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.finetune import DATA, RESULTS, measure_machine, say, write

TINY = "pkg://cognition/model"
VARIANTS = ("256 dense", "512 dense", "2048 sliding-window:256", "2048 dense repeat")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long_reviews", description="Long reviews.")
    parser.add_argument("--model", default=TINY)
    parser.add_argument("--words", type=int, default=400, help="that a review has at least")
    parser.add_argument("--rows", type=int, default=1600, help="to train on")
    parser.add_argument("--test-rows", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2, help="variants that run at a time")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="LENGTH FORM [POSITIONS], separated by commas")
    parser.add_argument("--output", type=Path, default=RESULTS / "long-reviews-cpu.json")
    options = parser.parse_args(arguments)
    record: dict[str, Any] = {
        "command": "python -m benchmarks.long_reviews",
        "date": datetime.now(UTC).date().isoformat(),
        **measure_machine(),
        **{name: getattr(options, name) for name in ("model", "words", "rows", "test_rows", "epochs")},
        "variants": [],
    }
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(options.jobs) as pool:
        folder = Path(place)
        write_rows(folder / "data", options.words, options.rows, options.test_rows)
        for result in pool.map(
            lambda variant: run(folder, options.model, options.epochs, variant), options.variants.split(",")
        ):
            record["variants"].append(result)
            write(record, options.output)
    sys.stdout.write(markdown(record))
    return 0


def write_rows(folder: Path, words: int, train: int, test: int) -> None:
    """Write long reviews as train.csv and test.csv, half of each positive, none in both."""
    import numpy as np

    from toolkit import sources
    from toolkit.data.sources.local_files import read

    (table,) = read(sources.package_path(DATA.removeprefix("pkg://"))).parts.values()
    reviews = {
        row["text"]: row["label"]
        for row in table.select(["text", "label", "source"]).to_pylist()
        if row["source"] == "imdb" and len(row["text"].split()) >= words
    }
    draw = np.random.default_rng(0)
    order = draw.permutation(sorted(reviews)).tolist()
    classes = [[text for text in order if reviews[text] == label] for label in ("0", "1")]
    folder.mkdir()
    for name, start, stop in (("test", 0, test // 2), ("train", test // 2, test // 2 + train // 2)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "label"])
            writer.writerows((text, reviews[text]) for texts in classes for text in texts[start:stop])


def run(folder: Path, model: str, epochs: int, variant: str) -> dict[str, Any]:
    """Fine-tune one variant with the command line, and return its figures."""
    length, form, *positions = variant.split()
    output = folder / variant.replace(" ", "-").replace(":", "-")
    command = [
        sys.executable, "-m", "toolkit", "finetune", "sentiment", "--model", model, "--data", str(folder / "data"),
        "--max-length", length, "--attention", form, "--epochs", str(epochs), "--output", str(output),
        "--set", "evaluation.baselines=false", "--set", "data.cache_gib=0", "--batch-size", "16",
        "--learning-rate", "5e-4",
    ]  # fmt: skip
    command += ["--set", f"positions={positions[0]}"] if positions else []
    say(variant)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        errors = process.stderr.read() if process.stderr is not None else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        return {"variant": variant, "failed": errors.strip().splitlines()[-2:]}
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    accuracy = next(metric for metric in report["evaluation"]["metrics"] if metric["name"] == "accuracy")
    return {
        "variant": variant,
        "accuracy": accuracy["value"],
        "low": accuracy["low"],
        "high": accuracy["high"],
        "tokens_per_example": report["training"]["tokens_per_example"],
        "cpu_minutes": (usage.ru_utime + usage.ru_stime) / 60,
        "peak_mib": usage.ru_maxrss / 2**10,
    }


def markdown(record: dict[str, Any]) -> str:
    """Lay the figures out as a Markdown table."""
    lines = [
        "| tokens read | attention | accuracy (95 %) | tokens a review | CPU minutes | peak MiB |",
        "| --: | --- | --- | --: | --: | --: |",
    ]
    for row in record["variants"]:
        length, _, form = row["variant"].partition(" ")
        shown = ["failed", "–", "–", "–"]
        if "accuracy" in row:
            interval = f"{row['accuracy']:.1%} ({row['low']:.1%} to {row['high']:.1%})".replace("%", " %")
            shown = [
                interval,
                f"{row['tokens_per_example']:,.0f}",
                f"{row['cpu_minutes']:.1f}",
                f"{row['peak_mib']:,.0f}",
            ]
        lines.append(f"| {int(length):,} | {form} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
