"""Predicting a file compared: `toolkit predict`, and the pipeline of transformers on the same file.

    python -m benchmarks.predict RUN                 the rows that a run was evaluated on, three times over
    python -m benchmarks.predict RUN --rows 200      the first 200 of them: does everything run?

Each is a process of its own that reads the file, loads the model from its folder, predicts every row and writes a
CSV file, so that starting and loading count on both sides. The pipeline is called as its documentation calls it, with a
list of texts, and again with the batch size that `--batch-size` names. All must give the same classes.
"""

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from benchmarks.finetune import RESULTS, measure_machine, write

MAX_DIFFERING = 0.002  # share of predictions that rounding may change
PIPELINE = """
import csv, sys
from transformers import pipeline
model, source, output, batch_size, max_length = sys.argv[1:]
with open(source, newline="", encoding="utf-8") as stream:
    texts = [row["text"] for row in csv.DictReader(stream)]
classify = pipeline("text-classification", model=model, device="cpu")
options = {"batch_size": int(batch_size)} if int(batch_size) else {}
with open(output, "w", newline="", encoding="utf-8") as stream:
    table = csv.writer(stream)
    table.writerow(["text", "prediction"])
    answers = classify(texts, truncation=True, max_length=int(max_length), **options)
    table.writerows([text, answer["label"]] for text, answer in zip(texts, answers))
"""


def commands(run: Path, source: Path, batch_size: int) -> dict[str, list[str]]:
    """Return each contender's command, up to the name of its output."""
    ours = [sys.executable, "-m", "toolkit", "predict", str(run), "--input", str(source)]
    theirs = [sys.executable, "-c", PIPELINE, str(run / "model"), str(source)]
    return {
        "toolkit": [*ours, "--output", "OUT"],
        "toolkit, evaluation.precision=bf16": [*ours, "--set", "evaluation.precision=bf16", "--output", "OUT"],
        "pipeline": [*theirs, "OUT", "0", "256"],
        f"pipeline, batch_size={batch_size}": [*theirs, "OUT", str(batch_size), "256"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--rows", type=int, default=None)
    parser.add_argument("--copies", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--output", type=Path, default=RESULTS / "predict-cpu.json")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "texts.csv"
        rows = pyarrow.parquet.read_table(options.run / "data" / "test.parquet", columns=["text"])
        rows = pa.concat_tables([rows.slice(0, options.rows or rows.num_rows)] * options.copies)
        pyarrow.csv.write_csv(rows, source)
        contenders = commands(options.run, source, options.batch_size)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        predictions: dict[str, list[str]] = {}
        for number in range(options.rounds):
            names = list(contenders)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                output = Path(folder) / f"{name}-{number}.csv"
                start = time.perf_counter()
                words = [str(output) if word == "OUT" else word for word in contenders[name]]
                subprocess.run(words, check=True, capture_output=True)
                seconds[name].append(time.perf_counter() - start)
                with output.open(newline="", encoding="utf-8") as stream:
                    predictions[name] = [row["prediction"] for row in csv.DictReader(stream)]
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    differing = {
        name: sum(prediction != other for prediction, other in zip(predictions["pipeline"], answers, strict=True))
        / rows.num_rows
        for name, answers in predictions.items()
    }
    record = {
        "command": f"python -m benchmarks.predict RUN --copies {options.copies} --rounds {options.rounds}",
        "date": datetime.now(UTC).date().isoformat(),
        **measure_machine(),
        "rows": rows.num_rows,
        "seconds": medians,
        "differing": differing,
    }
    write(record, options.output)
    sys.stdout.write("| contender | whole process | rows/s | × the pipeline | different predictions |\n")
    sys.stdout.write("| --- | ---: | ---: | ---: | ---: |\n")
    for name, median in medians.items():
        sys.stdout.write(
            f"| {name} | {median:.1f} s | {rows.num_rows / median:,.0f} | {medians['pipeline'] / median:.1f} "
            f"| {100 * differing[name]:.2f} % |\n"
        )
    return int(differing["toolkit"] > MAX_DIFFERING)


if __name__ == "__main__":
    raise SystemExit(main())
