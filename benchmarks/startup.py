"""Processor time of the start of each command.

    python -m benchmarks.startup                       all of them, medians of five
    python -m benchmarks.startup --repeats 1           does everything run?
    python -m benchmarks.startup --table FILE.json     print a written result as a Markdown table

Commands run in processes of their own, on generated rows and a random model of two narrow layers, so that nearly all of
their processor time is the start. Those that train end where the training loop would begin. `imports alone` is a
process that imports only torch and the class of a BERT from transformers, as any program that fine-tunes one must.
The first round, in which Python compiles the modules, is not counted.
"""

import argparse
import csv
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.finetune import RESULTS, ROOT, measure_machine, write

RUN = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from toolkit.__main__ import main
main()
"""
TRAIN = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from toolkit.commands.finetune.training import fit
def train(*_, **__):
    sys.exit(0)
fit.train = train
from toolkit.__main__ import main
main()
"""
IMPORTS = "import torch; from transformers import BertForSequenceClassification"
ROWS = 1200  # more than the number with few labels, and enough for the validation part
FINETUNE = ("finetune", "sentiment", "--data", "rows.csv", "--model", "model", "--output", "new")
COMMANDS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "--help": (RUN, ("--help",)),
    "runs list": (RUN, ("runs", "list")),
    "recipes show": (RUN, ("recipes", "show", "sentiment")),
    "schema": (RUN, ("schema",)),
    "launch": (RUN, ("launch", "--on", "slurm", "finetune", "sentiment", "--data", "rows.csv")),
    "compare": (RUN, ("compare", "runs/first", "runs/second")),
    "inspect": (RUN, ("inspect", "rows.csv")),
    "finetune --dry-run": (RUN, (*FINETUNE, "--dry-run")),
    "finetune, to the first step": (TRAIN, FINETUNE),
    "imports alone": (IMPORTS, ()),
}

UNQUOTED = ("imports alone",)


def prepare(folder: Path) -> None:
    """Write rows, a model, and a run that was trained on them."""
    words = [f"word{number}" for number in range(50)]
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "label"))
        for row in range(ROWS):
            writer.writerow((f"{words[row % 47]} {words[row % 50]} seen {row} times", ("bad", "good")[row % 2]))
    from transformers import BertConfig, BertModel, BertTokenizerFast

    marks = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    (folder / "vocab.txt").write_text("\n".join((*marks, *words, "seen", "times")), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "model")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(marks) + len(words) + 2, **sizes)).save_pretrained(folder / "model")
    arguments = (*FINETUNE[:-1], "runs/first", "--epochs", "1")
    measure(RUN, arguments, folder)
    shutil.copytree(folder / "runs" / "first", folder / "runs" / "second")


def measure(program: str, arguments: Sequence[str], folder: Path) -> float:
    """Return the processor seconds of one process, user and system.

    Raises:
        RuntimeError: It failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    where = () if program is IMPORTS else (str(ROOT),)
    words = [sys.executable, "-P", "-c", program, *where, *arguments]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(folder / "new", ignore_errors=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def table(record: Mapping[str, Any]) -> str:
    """Return a record as a Markdown table."""
    lines = ["| command | processor seconds |", "| --- | ---: |"]
    for name, seconds in record["seconds"].items():
        lines.append(f"| {name if name in UNQUOTED else f'`{name}`'} | {statistics.median(seconds):.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS / "startup-cpu.json")
    parser.add_argument("--table", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.table is not None:
        print(table(json.loads(options.table.read_text(encoding="utf-8"))))  # noqa: T201
        return 0
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for number in range(options.repeats + 1):
            for name, (program, words) in COMMANDS.items():
                took = measure(program, words, Path(folder))
                seconds[name] += [took] if number else []
    record = {"date": datetime.now(UTC).date().isoformat(), "machine": measure_machine(), "seconds": seconds}
    print(table(record))  # noqa: T201
    write(record, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
