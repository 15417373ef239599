"""Training on pictures side by side: the toolkit and the Trainer of transformers, in one process, in turns.

    python -m benchmarks.images                     all workloads
    python -m benchmarks.images --device cuda       on a GPU, with sixteen times the pictures
    python -m benchmarks.images --quick             a few pictures, one round: does everything run?
    python -m benchmarks.images --table FILE.json   print a written result as a Markdown table

    small      pictures of 28 × 28 pixels (PNG), the small ViT from random weights: the input is part of the cost
    photos     the same model on photographs of 160 × 160 pixels (JPEG): the input costs more
    large      ViT-S at 224 × 224: the arithmetic is what costs

The pictures are cut out of the two photographs that come with scikit-learn. All contenders get the same files, weights,
batches, augmentation (the toolkit's own, whole batches at a time) and optimizer (fused AdamW). The Trainer runs

    as documented   every picture is decoded, resized and changed each time it is fetched (`with_transform`)
    prepared        decoded and resized once, by `map`; changed in the collator

each with the number of workers, the precision and the attention that a few steps showed to be the fastest. The time is
that of training and of all preparation of pictures, once; the toolkit's holds its look at every file, too.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import datasets

from benchmarks import gpu, machine
from benchmarks.finetune import RESULTS, rotate, say, write
from toolkit.data.load import Splits, load_splits
from toolkit.pipeline import configure, judge
from toolkit.pipeline.prepare import Prepared, prepare
from toolkit.training.devices import accelerator_for, pick_device
from toolkit.training.loop import train
from toolkit.training.pace import Pace, measured

CLASSES = ("china", "flower")  # the photographs of scikit-learn


@dataclass(frozen=True)
class Workload:
    """What is trained.

    Attributes:
        pictures: How many are learnt from.
        side: Height and width of their files, in pixels.
        suffix: Format of the files.
        epochs: Passes over them.
        batch_size: Pictures in an optimizer step.
        augment: The recipe's options for it.
        small: ViT-S at 224 when False.
    """

    pictures: int
    side: int
    suffix: str
    epochs: int
    batch_size: int
    augment: dict[str, Any]
    small: bool = True


WORKLOADS = {
    "small": Workload(2000, 28, ".png", 3, 64, {"augment": "none", "flip": "both"}),
    "photos": Workload(1000, 160, ".jpg", 3, 64, {"augment": "light", "flip": "horizontal"}),
    "large": Workload(64, 224, ".jpg", 1, 16, {"augment": "light", "flip": "horizontal"}, small=False),
}
VIT_S = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}


@dataclass(frozen=True)
class Turn:
    """What a contender took.

    Attributes:
        preparing: Seconds in which pictures were looked at, decoded and resized before training.
        training: Seconds of training.
        waiting: Share of the training in which it waited for pictures; None where that is not known.
        loss: Of the last step.
    """

    preparing: float
    training: float
    waiting: float | None
    loss: float


@dataclass(frozen=True)
class Way:
    """How the Trainer is run.

    Attributes:
        once: Whether pictures are decoded and resized once.
        workers: Processes that load pictures; 0 loads them in the process that trains.
        bf16: Whether it multiplies in 16 bits.
        attention: How it attends.
    """

    once: bool
    workers: int
    bf16: bool
    attention: str


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
    datasets.disable_progress_bars()
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
    """Let all contenders take their turns on a workload."""
    with tempfile.TemporaryDirectory() as folder:
        draw_pictures(workload, Path(folder))
        ready = settle(workload, Path(folder), device)
        pace = pace_of(ready)
        precisions = {"toolkit": pace.precision}
        contenders: dict[str, Callable[[], Turn]] = {"toolkit": partial(ours, ready, pace)}
        ways = {}
        for title, once in (("Trainer, as documented", False), ("Trainer, prepared", True)):
            ways[title] = fastest(ready, once)
            precisions[title] = "bf16" if ways[title].bf16 else "fp32"
            contenders[title] = partial(theirs, ready, ways[title])
        turns: dict[str, list[Turn]] = {name: [] for name in contenders}
        peaks: dict[str, list[float]] = {"fp32": [], "bf16": []}
        for number in range(repeats):
            for kind, found in peaks.items():
                found.append(gemm_peak(kind, device))
            for name in rotate(list(contenders), number):
                turns[name].append(contenders[name]())
                say(f"  round {number + 1}: {name}: {turns[name][-1]}")
    samples = workload.pictures * workload.epochs
    flops = training_flops(ready.prepared.checkpoint.config)
    return {
        "pictures": workload.pictures,
        "epochs": workload.epochs,
        "batch_size": workload.batch_size,
        "gemm_gflops": {kind: max(found) for kind, found in peaks.items()},
        "flops_per_picture": flops,
        "ways": {name: vars(way) for name, way in ways.items()},
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
    """Return what one contender's rounds come to; ratios are taken within each round."""
    training = statistics.median(turn.training for turn in turns)
    waits = [turn.waiting for turn in turns if turn.waiting is not None]
    return {
        "precision": precision,
        "samples_per_second": samples / training,
        "preparing_seconds": statistics.median(turn.preparing for turn in turns),
        "training_seconds": training,
        "times_reference": statistics.median(
            (one.preparing + one.training) / (ours.preparing + ours.training)
            for one, ours in zip(turns, reference, strict=True)
        ),
        "times_reference_training": statistics.median(
            one.training / ours.training for one, ours in zip(turns, reference, strict=True)
        ),
        "gemm_share": {kind: flops / training / 1e9 / max(found) for kind, found in peaks.items()},
        "waiting": statistics.median(waits) if waits else None,
        "last_loss": turns[-1].loss,
        "turns": [vars(turn) for turn in turns],
    }


# --- what all are given ---------------------------------------------------------------------------------------------


def draw_pictures(workload: Workload, folder: Path) -> None:
    """Write pictures cut at random out of the photographs: one folder for each part and class."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_image

    draw = np.random.default_rng(0)
    photographs = {name: Image.fromarray(load_sample_image(f"{name}.jpg")) for name in CLASSES}
    for part, count in (("train", workload.pictures), ("validation", 16), ("test", 16)):
        for name in CLASSES:
            (folder / "data" / part / name).mkdir(parents=True)
        for number in range(count):
            name = CLASSES[number % 2]
            width, height = photographs[name].size
            left, top = (int(draw.integers(0, size - workload.side + 1)) for size in (width, height))
            cut = photographs[name].crop((left, top, left + workload.side, top + workload.side))
            cut.save(folder / "data" / part / name / f"{number:05}{workload.suffix}")


@dataclass(frozen=True)
class Ready:
    """A workload with its files.

    Attributes:
        workload: What is trained.
        folder: Of the pictures.
        prepared: The toolkit's configuration, checkpoint and splits.
        processor: The image processor.
    """

    workload: Workload
    folder: Path
    prepared: Prepared
    processor: Any

    def model(self, attention: str = "sdpa") -> Any:
        """Return the model with the same random weights for everybody."""
        import torch

        torch.manual_seed(0)
        prepared = self.prepared
        model = prepared.recipe.build_model(prepared.checkpoint.path, prepared.splits.labels, prepared.config)
        model.set_attn_implementation(attention)
        return model

    def augmentation(self) -> Any:
        """Return what changes batches of bytes at random."""
        return self.prepared.recipe.augmentation(  # type: ignore[attr-defined]
            self.processor, self.prepared.splits.labels, self.prepared.config
        )


def settle(workload: Workload, folder: Path, device: str) -> Ready:
    """Settle the configuration, off the clock."""
    name = "vit-tiny" if workload.small else write_model(folder / "model")
    values = {
        "model": name,
        "loading": {"from_scratch": True},
        "data": {"source": str(folder / "data"), "deduplicate": False},
        "training": {
            "epochs": workload.epochs,
            "batch_size": workload.batch_size,
            "device": device,
            "early_stopping_patience": None,
            "best_metric": "loss",
        },
        "options": workload.augment,
    }
    recipe, resolved = configure("image", [("flag", values)])
    settled = prepare(recipe, resolved, lambda _event: None)
    return Ready(workload, folder / "data", settled, recipe.load_processor(settled.checkpoint.path, settled.config))


def write_model(folder: Path) -> str:
    """Write a ViT-S with random weights."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    form = ViTConfig(**VIT_S, image_size=224, patch_size=16, hidden_dropout_prob=0.0)
    ViTForImageClassification(form).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": 224, "width": 224}).save_pretrained(folder)
    return str(folder)


def training_flops(config: Mapping[str, Any]) -> int:
    """Return the matrix-product FLOPs that training needs for one picture.

    As `figures.training_flops` counts them: 6 a weight and token, 12·T²·d of attention for each layer. Of the last
    layer only what the class token needs is counted, for everybody: keys and values of all tokens, all else of one.
    """
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    patches = (config["image_size"] // config["patch_size"]) ** 2
    tokens = patches + 1
    layer = 6 * tokens * (4 * width**2 + 2 * width * inner) + 12 * width * tokens**2
    last = 6 * (2 * width**2 * tokens + 2 * width**2 + 2 * width * inner) + 12 * width * tokens
    embedding = 4 * patches * 3 * config["patch_size"] ** 2 * width  # its input has no gradient
    return int((layers - 1) * layer + last + embedding)


# --- the toolkit ----------------------------------------------------------------------------------------------------


def pace_of(ready: Ready) -> Pace:
    """Return what `--tune-speed` chooses, off the clock."""
    recipe = ready.prepared.recipe
    rows = ready.prepared.splits.train.slice(0, ready.workload.batch_size)
    features = judge.encode_rows(rows, recipe, ready.processor, ready.prepared.config)
    batch = recipe.collate([features[row] for row in range(len(features))], ready.processor)
    settings = ready.prepared.config.training
    device = pick_device(settings.device)
    probe = {name: values[:6] for name, values in batch.items()}
    return measured(ready.model().to(device).train(), batch, probe, settings, device, steps=0)


def ours(ready: Ready, pace: Pace) -> Turn:
    """Train with the toolkit."""
    config, recipe = ready.prepared.config, ready.prepared.recipe
    model = ready.model()
    losses: list[Any] = []
    start = time.perf_counter()
    splits: Splits = load_splits(recipe, config.data, config.training.seed, config.options)
    features = judge.encode_rows(splits.train, recipe, ready.processor, config)
    ready_at = time.perf_counter()
    result = train(
        model,
        features,
        partial(recipe.collate, processor=ready.processor),
        config.training,
        accelerator_for(config.training, pace.precision),
        validate=lambda _model: {"loss": 0.0},
        save=lambda _model, _step: None,
        higher_is_better=False,
        observe=lambda _event: None,
        after_step=lambda _step, loss: losses.append(loss),
        augment=ready.augmentation(),
        pace=pace,
    )
    loss = float(losses[-1])  # waits for the device
    return Turn(ready_at - start, time.perf_counter() - ready_at, result.waiting, loss)


# --- the Trainer ----------------------------------------------------------------------------------------------------


def fastest(ready: Ready, once: bool) -> Way:
    """Return the way in which the Trainer takes the least time for a few steps."""
    steps = 6 if ready.workload.small else 2

    def best(ways: Sequence[Way]) -> Way:
        return min(ways, key=lambda way: theirs(ready, way, steps=steps).training)

    if ready.prepared.config.training.device == "cuda":
        return best([Way(once, workers, True, "sdpa") for workers in (0, 4, 8)])
    found = best([Way(once, 0, *kind) for kind in ((False, "sdpa"), (True, "sdpa"), (True, "eager"))])
    return best([found, replace(found, workers=1)])


def theirs(ready: Ready, way: Way, steps: int = -1) -> Turn:
    """Train with the Trainer."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    workload, training = ready.workload, ready.prepared.config.training
    model = ready.model(way.attention)
    marks: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Notes when the first step begins and the last one ends, without what the Trainer sets up once."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

        def on_step_end(self, _arguments: Any, state: Any, *_: Any, **__: Any) -> None:
            if state.global_step == state.max_steps:
                marks.append(gpu.now(training.device))

    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        rows, collate = inputs(ready, way)
        ready_at = time.perf_counter()
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=output,
                num_train_epochs=workload.epochs,
                max_steps=steps,
                per_device_train_batch_size=workload.batch_size,
                learning_rate=training.learning_rate,
                warmup_steps=training.warmup_fraction,
                weight_decay=training.weight_decay,
                optim="adamw_torch_fused",
                bf16=way.bf16,
                dataloader_num_workers=way.workers,
                dataloader_persistent_workers=way.workers > 0,
                remove_unused_columns=False,
                logging_strategy="no",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=training.device == "cpu",
            ),
            train_dataset=rows,
            data_collator=collate,
            callbacks=[Clock()],
        )
        trainer.remove_callback(PrinterCallback)
        loss = trainer.train().training_loss
    return Turn(ready_at - start, marks[-1] - marks[0], None, float(loss))


def inputs(ready: Ready, way: Way) -> tuple[Any, Callable[[Any], dict[str, Any]]]:
    """Return the Trainer's data set and its collator."""
    import torch

    files = sorted((ready.folder / "train").rglob(f"*{ready.workload.suffix}"))
    labels = [CLASSES.index(file.parent.name) for file in files]
    kinds = datasets.Features({"image": datasets.Image(), "labels": datasets.Value("int64")})
    rows = datasets.Dataset.from_dict({"image": [str(file) for file in files], "labels": labels}, features=kinds)
    change = ready.augmentation()

    def resized(pictures: Sequence[Any]) -> Any:
        found = ready.processor(
            [one.convert("RGB") for one in pictures], do_rescale=False, do_normalize=False, return_tensors="pt"
        )
        return found["pixel_values"].to(torch.uint8)

    def stacked(part: Sequence[Any]) -> dict[str, Any]:
        return {name: torch.stack([torch.as_tensor(one[name]) for one in part]) for name in ("pixel_values", "labels")}

    if way.once:
        mapped = rows.map(
            lambda batch: {"pixel_values": resized(batch["image"]).numpy()},
            batched=True,
            batch_size=256,
            remove_columns=["image"],
            keep_in_memory=True,
        ).with_format("numpy")
        return mapped, lambda part: change(stacked(part))

    def changed(batch: dict[str, Any]) -> dict[str, Any]:
        labels = torch.tensor(batch["labels"])
        return change({"pixel_values": resized(batch["image"]), "labels": labels})

    return rows.with_transform(changed), stacked


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
