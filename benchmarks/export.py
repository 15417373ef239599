"""Exports compared with the model in transformers: size, agreement, and CPU time of the forward passes.

    toolkit export RUN --to onnx                 and onnx-int8, openvino: those that the run has are compared
    python -m benchmarks.export RUN              500 held-out rows on one thread, three rounds
    python -m benchmarks.export --table FILE     print a record as a table

The rows are tokenized once and batched by length; each contender then gets the same batches, in turn. Time is that of
the processor, so that other programs on the machine matter less. Agreement is what the export measured.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetune import RESULTS, measure_machine, write
from toolkit.commands.evaluate.prepare import prepare_evaluation
from toolkit.exporting.runtime import Graph, has_fast_bf16
from toolkit.inference.encode import encode_rows

FORMS = ("onnx", "onnx-int8", "openvino")
SHOWN = {
    "transformers": "transformers, fp32",
    "onnx": "ONNX Runtime, fp32",
    "onnx-int8": "ONNX Runtime, 8 bits",
    "openvino": "OpenVINO, fp32",
    "openvino-bf16": "OpenVINO, bf16",
}


def measure(run: Path, rows: int, batch_size: int, rounds: int, threads: int) -> dict[str, Any]:
    """Return the results of each contender by its name."""
    import torch

    torch.set_num_threads(threads)
    values = {"training": {"device": "cpu"}, "evaluation": {"precision": "fp32"}}
    subject = prepare_evaluation(str(run), values, None, lambda _: None)
    loaded = subject.stored(lambda _: None).loaded
    features = encode_rows(subject.rows.slice(0, rows), loaded).without("labels")
    order = np.argsort(features.lengths, kind="stable")
    parts = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    batches = [loaded.recipe.collate([features[int(row)] for row in part], loaded.processor) for part in parts]
    results: dict[str, dict[str, Any]] = {"transformers": {"bytes": _size([run / "model" / "model.safetensors"])}}
    calls: dict[str, Callable[..., Any]] = {"transformers": loaded.model}
    for form in FORMS:
        folder = run / "exports" / form
        if not folder.is_dir():
            continue
        facts = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        calls[form] = Graph(folder, form, loaded.processor)
        results[form] = {"bytes": facts["exported_bytes"], "agreement": facts["agreement"]}
        if form == "openvino" and has_fast_bf16():
            name = f"{form}-bf16"
            calls[name] = Graph(folder, form, loaded.processor, INFERENCE_PRECISION_HINT="bf16")
            results[name] = {"bytes": facts["exported_bytes"], "agreement": facts["bf16"]["agreement"]}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        for number in range(rounds + 1):  # the first is for warming up
            names = list(calls)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                start = time.process_time()
                for batch in batches:
                    calls[name](**batch)
                seconds[name].append(time.process_time() - start)
    for name, taken in seconds.items():
        results[name]["cpu_seconds"] = statistics.median(taken[1:])
    return results


def _size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def table(record: Mapping[str, Any]) -> str:
    """Return a record as a table in Markdown."""
    base = record["results"]["transformers"]["cpu_seconds"]
    lines = ["| model | size | same prediction | CPU time | × transformers |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, result in record["results"].items():
        same = result.get("agreement")
        share = "" if same is None else f"{100 * same['value']:.1f} % of {same['rows']:,}"
        lines.append(
            f"| {SHOWN[name]} | {result['bytes'] / 1e6:.1f} MB | {share} | {result['cpu_seconds']:.1f} s "
            f"| {base / result['cpu_seconds']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path, nargs="?")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, default=RESULTS / "export-cpu.json")
    parser.add_argument("--table", type=Path, help="a record to print")
    options = parser.parse_args(arguments)
    if options.table is not None:
        sys.stdout.write(table(json.loads(options.table.read_text(encoding="utf-8"))))
        return
    if options.run is None:
        parser.error("give a run, or --table")
    record = {
        "command": f"python -m benchmarks.export RUN --rows {options.rows} --threads {options.threads}",
        "date": datetime.now(UTC).date().isoformat(),
        **measure_machine(),
        "results": measure(options.run, options.rows, options.batch_size, options.rounds, options.threads),
    }
    write(record, options.output)
    sys.stdout.write(table(record))


if __name__ == "__main__":
    main()
