"""Recommendation on a log of interactions: the model and its baselines, with seconds and memory.

    python -m benchmarks.recommend --data ratings.csv       a log with the columns user, item and time
    python -m benchmarks.recommend --generated 200000       a generated log of so many, with a planted order
    python -m benchmarks.recommend --table FILE.json        print a written record as a Markdown table

The log is divided by time, and all items are ranked. The model is trained by the command line with its defaults, in a
process of its own, whose peak of memory is recorded; baselines are timed in this one.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.finetune import RESULTS, write

MODEL = "Self-attention (SASRec)"
COLUMNS = ("ndcg_10", "hit_rate_10", "mrr_20")
_LENGTH = 40  # interactions of a user in a generated log


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="FILE")
    parser.add_argument("--name", help="what the record calls the data; the file's name by default")
    parser.add_argument("--generated", type=int, metavar="INTERACTIONS")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for the command line")
    parser.add_argument("--output", type=Path, default=RESULTS / "recommend-cpu.json")
    parser.add_argument("--table", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.table:
        sys.stdout.write(markdown(json.loads(options.table.read_text(encoding="utf-8"))))
        return 0
    if (options.data is None) == (options.generated is None):
        parser.error("give one of --data and --generated")
    with tempfile.TemporaryDirectory() as folder:
        data = options.data
        if data is None:
            data = generated(Path(folder) / "generated.csv", options.generated)
        entry = measured(data.resolve(), Path(folder), options.set)
    name = options.name or (f"generated, {options.generated:,} interactions" if options.data is None else data.name)
    record = json.loads(options.output.read_text(encoding="utf-8")) if options.output.is_file() else {"data": {}}
    record |= {
        "command": "python -m benchmarks.recommend --data FILE",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine.describe(),
    }
    record["data"][name] = entry
    write(record, options.output)
    sys.stdout.write(markdown(record))
    return 0


def generated(path: Path, interactions: int) -> Path:
    """Write a log in which most items are followed by the next one of a ring; the others are drawn by popularity."""
    from tests.support.interactions import log

    users = max(2, interactions // _LENGTH)
    return log(path, users=users, length=_LENGTH, items=max(100, users), seed=1)


def measured(data: Path, folder: Path, settings: Sequence[str]) -> dict[str, Any]:
    """Train and evaluate on one log, and time the baselines."""
    words = [sys.executable, "-m", "toolkit", "finetune", "recommend", "--data", str(data), "--output", "run"]
    start = time.perf_counter()
    given = [word for setting in settings for word in ("--set", setting)]
    ended = subprocess.run([*words, *given], cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    seconds = time.perf_counter() - start
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    own = report["evaluation"]
    return {
        "sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
        "settings": list(settings),
        "notes": [note for note in report["data"]["notes"] if "density" in note or "Divided" in note],
        "rows": {part["name"]: part["rows"] for part in report["data"]["splits"]},
        "peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "seconds": seconds,
        "training_seconds": report["training"]["seconds"],
        "epochs": report["training"]["epochs"],
        "parameters": report["model"]["parameters"],
        "recommendations": own["recommendations"],
        "figures": {
            MODEL: _figures(own),
            **{baseline["name"]: _figures(baseline) for baseline in report["baselines"]},
        },
        "differences": {
            b["name"]: {k: b["difference"][k] for k in ("value", "low", "high")} for b in report["baselines"]
        },
        "baseline_seconds": baseline_seconds(data, settings),
    }


def _figures(section: Mapping[str, Any]) -> dict[str, Any]:
    return {metric["name"]: {k: metric[k] for k in ("value", "low", "high")} for metric in section["metrics"]}


def baseline_seconds(data: Path, settings: Sequence[str]) -> dict[str, float]:
    """Return the seconds that each baseline takes to learn and to rank all test rows."""
    from toolkit.commands.finetune.prepare import configure
    from toolkit.config.files import parse_assignments
    from toolkit.data.load import load_splits
    from toolkit.evaluation import baselines

    layers = [("flag", {"data": {"source": str(data)}}), ("flag", parse_assignments(settings))]
    recipe, resolved = configure("recommend", layers)
    config = resolved.config
    splits = load_splits(recipe, config.data, config.training.seed, config.options)
    seconds = {}
    for name in recipe.baselines or {}:
        start = time.perf_counter()
        baselines.predict(name, recipe, splits, config.options)
        seconds[name] = time.perf_counter() - start
    return seconds


def markdown(record: Mapping[str, Any]) -> str:
    """Return the record as a Markdown table."""
    lines = [
        "| data | contender | NDCG@10 | hit rate@10 | MRR@20 | seconds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name, entry in record["data"].items():
        for contender, figures in entry["figures"].items():
            own = contender == MODEL
            seconds = entry["training_seconds"] if own else entry["baseline_seconds"][contender]
            cells = [_cell(figures[column], 100 if column == "hit_rate_10" else 1) for column in COLUMNS]
            lines.append(f"| {name if own else ''} | {contender} | {' | '.join(cells)} | {seconds:,.1f} |")
    return "\n".join(lines) + "\n"


def _cell(figure: Mapping[str, float], scale: float) -> str:
    places, sign = (1, " %") if scale == 100 else (3, "")
    low, high = (f"{scale * figure[end]:.{places}f}" for end in ("low", "high"))
    return f"{scale * figure['value']:.{places}f}{sign} ({low} to {high})"


if __name__ == "__main__":
    sys.exit(main())
