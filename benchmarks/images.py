"""Training on pictures compared: the toolkit and the Trainer of transformers, in one process, in turns.

    python -m benchmarks.images                     all workloads
    python -m benchmarks.images --device cuda       on a GPU, with sixteen times the pictures
    python -m benchmarks.images --quick             a few pictures, one round: does everything run?
    python -m benchmarks.images --table FILE.json   print a written result as a Markdown table

    small      pictures of 28 × 28 pixels (PNG), the small ViT from random weights: the input is part of the cost
    photos     the same model on photographs of 160 × 160 pixels (JPEG): the input costs more
    large      ViT-S at 224 × 224: mostly arithmetic

The pictures are cut out of the two photographs that come with scikit-learn. All contenders get the same files, weights,
batches, augmentation (the toolkit's own, whole batches at a time) and optimizer (fused AdamW). The Trainer runs

    as documented   every picture is decoded, resized and changed each time it is fetched (`with_transform`)
    prepared        decoded and resized once, by `map`; changed in the collator

each with the number of workers, the precision and the attention that a few steps showed to be the fastest. The time is
that of training and of all preparation of pictures, once; the toolkit's includes its validation of every file, too.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import gpu, machine
from benchmarks.contenders.picture_trainer import fastest, theirs
from benchmarks.finetune import RESULTS, rotate, say, write
from benchmarks.picture_workloads import WORKLOADS, Ready, Turn, Workload, draw_pictures, settle, training_flops
from toolkit.data.load import Splits, load_splits
from toolkit.inference.encode import encode_rows
from toolkit.training.acceleration.autotune import ComputeSettings, measured
from toolkit.training.distributed.devices import accelerator_for, pick_device
from toolkit.training.loop.arguments import Callbacks, TrainingData
from toolkit.training.loop.train import train


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description="Training on pictures.")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="names, separated by commas (default all)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="few pictures, one round: does everything run?")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--output", type=Path, help="default benchmarks/results/images-DEVICE.json, or quick.json")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print this result as Markdown and run nothing")
    options = parser.parse_args(arguments)
    if options.table:
        sys.stdout.write(markdown(json.loads(options.table.read_text(encoding="utf-8"))))
        return 0
    chosen = {"device": options.device, "repeats": options.repeats, "workloads": options.workloads}
    flags = "".join(f" --{name} {value}" for name, value in chosen.items() if value != parser.get_default(name))
    flags += " --quick" if options.quick else ""
    output = options.output or RESULTS / ("quick.json" if options.quick else f"images-{options.device}.json")
    record: dict[str, Any] = {
        "command": f"python -m benchmarks.images{flags}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine.describe(),
        "workloads": {},
    }
    for name in options.workloads.split(","):
        say(f"{name}:")
        workload = WORKLOADS[name]
        if options.quick:
            workload = replace(workload, pictures=2 * workload.batch_size, epochs=1)
        elif options.device == "cuda":
            workload = replace(workload, pictures=16 * workload.pictures)
        record["workloads"][name] = measure(workload, 1 if options.quick else options.repeats, options.device)
        write(record, output)
    sys.stdout.write(markdown(record))
    return 0


def measure(workload: Workload, repeats: int, device: str) -> dict[str, Any]:
    """Run all contenders alternately on a workload."""
    with tempfile.TemporaryDirectory() as folder:
        draw_pictures(workload, Path(folder))
        ready = settle(workload, Path(folder), device)
        compute = fastest_compute(ready)
        precisions = {"toolkit": compute.precision}
        contenders: dict[str, Callable[[], Turn]] = {"toolkit": partial(ours, ready, compute)}
        trainer_settings = {}
        for title, once in (("Trainer, as documented", False), ("Trainer, prepared", True)):
            trainer_settings[title] = fastest(ready, once)
            precisions[title] = "bf16" if trainer_settings[title].bf16 else "fp32"
            contenders[title] = partial(theirs, ready, trainer_settings[title])
        turns: dict[str, list[Turn]] = {name: [] for name in contenders}
        peaks: dict[str, list[float]] = {"fp32": [], "bf16": []}
        for number in range(repeats):
            for kind, measured in peaks.items():
                measured.append(gemm_peak(kind, device))
            for name in rotate(list(contenders), number):
                turns[name].append(contenders[name]())
                say(f"  round {number + 1}: {name}: {turns[name][-1]}")
    samples = workload.pictures * workload.epochs
    flops = training_flops(ready.prepared.checkpoint.config)
    return {
        "pictures": workload.pictures,
        "epochs": workload.epochs,
        "batch_size": workload.batch_size,
        "gemm_gflops": {kind: max(measured) for kind, measured in peaks.items()},
        "flops_per_picture": flops,
        "ways": {name: vars(settings) for name, settings in trainer_settings.items()},
        "contenders": {
            name: summary(taken, turns["toolkit"], samples, flops * samples, precisions[name], peaks)
            for name, taken in turns.items()
        },
    }


def gemm_peak(kind: str, device: str) -> float:
    """Return the best matrix-product speed of the device now, in GFLOP/s."""
    if device == "cpu":
        return max(machine.measure_gemm(kind=kind).values())
    return gpu.matmul_peak(device, 8192, kind) / 1e9


def summary(
    turns: Sequence[Turn],
    reference: Sequence[Turn],
    samples: int,
    flops: float,
    precision: str,
    peaks: dict[str, list[float]],
) -> dict[str, Any]:
    """Summarize one contender's rounds; ratios are taken within each round."""
    training = statistics.median(turn.training for turn in turns)
    waits = [turn.waiting for turn in turns if turn.waiting is not None]
    return {
        "precision": precision,
        "samples_per_second": samples / training,
        "preparing_seconds": statistics.median(turn.preparing for turn in turns),
        "training_seconds": training,
        "times_reference": statistics.median(
            (theirs.preparing + theirs.training) / (ours.preparing + ours.training)
            for theirs, ours in zip(turns, reference, strict=True)
        ),
        "times_reference_training": statistics.median(
            theirs.training / ours.training for theirs, ours in zip(turns, reference, strict=True)
        ),
        "gemm_share": {kind: flops / training / 1e9 / max(measured) for kind, measured in peaks.items()},
        "waiting": statistics.median(waits) if waits else None,
        "last_loss": turns[-1].loss,
        "turns": [vars(turn) for turn in turns],
    }


# --- the toolkit ----------------------------------------------------------------------------------------------------


def fastest_compute(ready: Ready) -> ComputeSettings:
    """Return what `--tune-speed` chooses, off the clock."""
    recipe = ready.prepared.recipe
    rows = ready.prepared.splits.train.slice(0, ready.workload.batch_size)
    features = encode_rows(rows, ready.subject)
    batch = recipe.collate([features[row] for row in range(len(features))], ready.processor)
    settings = ready.prepared.config.training
    device = pick_device(settings.device)
    probe = {name: values[:6] for name, values in batch.items()}
    return measured(ready.model().to(device).train(), batch, probe, settings, device, steps=0)


def ours(ready: Ready, compute: ComputeSettings) -> Turn:
    """Train with the toolkit."""
    config, recipe = ready.prepared.config, ready.prepared.recipe
    model = ready.model()
    losses: list[Any] = []
    start = time.perf_counter()
    splits: Splits = load_splits(recipe, config.data, config.training.seed, config.options)
    features = encode_rows(splits.train, ready.subject)
    ready_at = time.perf_counter()
    result = train(
        model,
        TrainingData(features, partial(recipe.collate, processor=ready.processor), ready.augmentation()),
        config.training,
        accelerator_for(config.training, compute.precision),
        callbacks=Callbacks(after_step=lambda _step, loss: losses.append(loss)),
        compute=compute,
    )
    loss = float(losses[-1])  # waits for the device
    return Turn(ready_at - start, time.perf_counter() - ready_at, result.waiting, loss)


# --- the table ------------------------------------------------------------------------------------------------------


def markdown(record: dict[str, Any]) -> str:
    """Return the table."""
    return "".join(f"{line}\n" for line in _lines(record))


def _lines(record: dict[str, Any]) -> Iterator[str]:
    yield (
        "| workload | contender | precision | pictures/s | preparing | training | × toolkit | × in training "
        "| share of fp32 peak | of bf16 peak | waiting |"
    )
    yield "|---|---|---|" + "---:|" * 8
    for name, workload in record["workloads"].items():
        for contender, figures in workload["contenders"].items():
            waiting = "" if figures["waiting"] is None else f"{figures['waiting']:.1%}"
            shares = figures["gemm_share"]
            yield (
                f"| {name} | {contender} | {figures['precision']} | {figures['samples_per_second']:,.1f} "
                f"| {figures['preparing_seconds']:.1f} s | {figures['training_seconds']:.1f} s "
                f"| {figures['times_reference']:.2f} | {figures['times_reference_training']:.2f} "
                f"| {shares['fp32']:.0%} | {shares['bf16']:.0%} | {waiting} |"
            )
    machine_ = record["machine"]
    peaks = [
        f"{name} {workload['gemm_gflops']['fp32']:.0f} and {workload['gemm_gflops']['bf16']:.0f}"
        for name, workload in record["workloads"].items()
    ]
    yield ""
    yield (
        f"{machine_['processor']}, {machine_['processors']} cores, torch {machine_['torch']}, transformers "
        f"{machine_['transformers']}; GEMM peaks in GFLOP/s, fp32 and bf16: {', '.join(peaks)}. "
        f"{record['date']}, `{record['command']}`."
    )


if __name__ == "__main__":
    sys.exit(main())
