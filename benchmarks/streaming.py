"""Peak memory of `--streaming` with a thousand and a million rows: `python -m benchmarks.streaming`, some minutes.

Both runs read all their rows once: Parquet shards, the packaged BERT-tiny with a frozen trunk, one epoch. The result is
printed as Markdown and written to benchmarks/results/streaming-cpu.json.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.finetune import RESULTS, called, measure_machine, write
from benchmarks.growth import finetuned

GROUP = 5000  # rows of a row group
SHARD = 50_000  # rows of a file


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description="Memory of streamed data.")
    parser.add_argument("--rows", default="1000,1000000", help="rows of the data, separated by commas")
    parser.add_argument("--output", type=Path, default=RESULTS / "streaming-cpu.json")
    options = parser.parse_args(arguments)
    record: dict[str, Any] = {
        "command": called("streaming", arguments),
        "date": datetime.now(UTC).date().isoformat(),
        **measure_machine(),
        "rows": [run(int(number)) for number in options.rows.split(",")],
    }
    write(record, options.output)
    sys.stdout.write(markdown(record))
    return 0


def run(number: int) -> dict[str, Any]:
    """Return the steps, wall seconds and peak memory of one epoch on `number` rows."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        write_shards(data, number)
        options = ["--streaming", "--data", str(data), "--epochs", "1", "--batch-size", "256", "--max-length", "16"]
        return {"rows": number, **finetuned([*options, "--set", "training.freeze=trunk"], Path(folder))}


def write_shards(folder: Path, number: int) -> None:
    """Write sentences of two classes as Parquet shards."""
    import pyarrow as pa
    from pyarrow import parquet

    draw = random.Random(0)
    folder.mkdir()
    words = ("long", "short", "film", "plot", "cast", "music", "town", "night")
    for shard, first in enumerate(range(0, number, SHARD)):
        numbers = range(first, min(number, first + SHARD))
        texts = [f"{' '.join(draw.choices(words, k=8))} {('bad', 'good')[row % 2]} {row}" for row in numbers]
        table = pa.table({"text": texts, "label": [("negative", "positive")[row % 2] for row in numbers]})
        parquet.write_table(table, folder / f"part-{shard:05d}.parquet", row_group_size=GROUP)


def markdown(record: dict[str, Any]) -> str:
    """Return the table."""
    lines = ["| rows | steps | whole command | of it training | peak memory |", "|---:" * 5 + "|"]
    lines += [
        f"| {row['rows']:,} | {row['steps']:,} | {row['seconds']:.1f} s | {row['training_seconds']:.1f} s "
        f"| {row['peak_memory_mib']:,} MiB |"
        for row in record["rows"]
    ]
    machine = record["machine"]
    lines += ["", f"{machine['processor']}, {machine['processors']} cores. {record['date']}, `{record['command']}`."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
