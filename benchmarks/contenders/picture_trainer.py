"""The Trainer of transformers on pictures, with its fastest settings."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import datasets

from benchmarks import gpu
from benchmarks.picture_workloads import CLASSES, Ready, Turn


@dataclass(frozen=True)
class TrainerSettings:
    """How the Trainer is run.

    Attributes:
        once: Whether pictures are decoded and resized once.
        workers: Processes that load pictures; 0 loads them in the process that trains.
        bf16: Whether it multiplies in 16 bits.
        attention: Its attention implementation.
    """

    once: bool
    workers: int
    bf16: bool
    attention: str


def fastest(ready: Ready, once: bool) -> TrainerSettings:
    """Return the settings with which the Trainer is fastest for a few steps."""
    steps = 6 if ready.workload.small else 2

    def best(candidates: Sequence[TrainerSettings]) -> TrainerSettings:
        return min(candidates, key=lambda settings: theirs(ready, settings, steps=steps).training)

    if ready.prepared.config.training.device == "cuda":
        return best([TrainerSettings(once, workers, True, "sdpa") for workers in (0, 4, 8)])
    chosen = best([TrainerSettings(once, 0, *kind) for kind in ((False, "sdpa"), (True, "sdpa"), (True, "eager"))])
    return best([chosen, replace(chosen, workers=1)])


def theirs(ready: Ready, settings: TrainerSettings, steps: int = -1) -> Turn:
    """Train with the Trainer."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    workload, training = ready.workload, ready.prepared.config.training
    model = ready.model(settings.attention)
    marks: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Records the start of the first step and the end of the last one, without the Trainer's setup."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            marks.append(time.perf_counter())

        def on_step_end(self, _arguments: Any, state: Any, *_: Any, **__: Any) -> None:
            if state.global_step == state.max_steps:
                marks.append(gpu.now(training.device))

    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        rows, collate = inputs(ready, settings)
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
                bf16=settings.bf16,
                dataloader_num_workers=settings.workers,
                dataloader_persistent_workers=settings.workers > 0,
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


def inputs(ready: Ready, settings: TrainerSettings) -> tuple[Any, Callable[[Any], dict[str, Any]]]:
    """Return the Trainer's data set and its collator."""
    import torch

    datasets.disable_progress_bars()
    files = sorted((ready.folder / "train").rglob(f"*{ready.workload.suffix}"))
    labels = [CLASSES.index(file.parent.name) for file in files]
    kinds = datasets.Features({"image": datasets.Image(), "labels": datasets.Value("int64")})
    rows = datasets.Dataset.from_dict({"image": [str(file) for file in files], "labels": labels}, features=kinds)
    change: Callable[[dict[str, Any]], dict[str, Any]] = ready.augmentation()

    def resized(pictures: Sequence[Any]) -> Any:
        encoded = ready.processor(
            [picture.convert("RGB") for picture in pictures], do_rescale=False, do_normalize=False, return_tensors="pt"
        )
        return encoded["pixel_values"].to(torch.uint8)

    def stacked(part: Sequence[Any]) -> dict[str, Any]:
        return {
            name: torch.stack([torch.as_tensor(picture[name]) for picture in part])
            for name in ("pixel_values", "labels")
        }

    if settings.once:
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
