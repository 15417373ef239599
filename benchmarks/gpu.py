"""Training on a GPU compared with the tuned Trainer: `make bench-gpu`, or `python -m benchmarks.gpu --device cpu
--small`.

A BERT of base size with random weights reads random tokens, so nothing is downloaded: first every example at the full
length, then lengths as they come. All contenders train in bf16 with the fused optimizer, in this process, in turn. The
toolkit leaves attention dropout out, as it does by default; the Trainer is measured with and without.
Printed are examples and tokens per second and the share of the device's own bf16 matrix-product peak, measured in the
same run; the result is written to benchmarks/results/finetune-gpu.json.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import training_flops
from benchmarks.finetune import RESULTS, write


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Training, and the tuned Trainer.")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="a model of two narrow layers: does everything run?")
    parser.add_argument("--length", type=int, default=128, help="tokens of the longest example")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS / "finetune-gpu.json")
    options = parser.parse_args(arguments)
    import torch

    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    peak = matmul_peak(options.device, 512 if options.small else 8192)
    record: dict[str, Any] = {
        "command": "python -m benchmarks.gpu",
        "date": datetime.now(UTC).date().isoformat(),
        "device": name,
        "torch": torch.__version__,
        "bf16_matmul_tflops": peak / 1e12,
        "workloads": {},
    }
    contenders: dict[str, Callable[..., float]] = {
        "toolkit": train_toolkit,
        "Trainer, tuned": train_trainer,
        "Trainer, tuned, attention dropout 0": partial(train_trainer, attention_dropout=0.0),
    }
    for workload in ("full length", "mixed lengths"):
        rows = examples(options, mixed=workload == "mixed lengths")
        flops = training_flops(bert(options.small).to_dict(), [len(row) for row in rows])
        seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
        for _ in range(options.repeats):
            for contender, train in contenders.items():
                seconds[contender].append(train(rows, options))
        record["workloads"][workload] = {
            contender: {
                "examples_per_second": len(rows) / statistics.median(taken),
                "tokens_per_second": sum(map(len, rows)) / statistics.median(taken),
                "matmul_share": flops / statistics.median(taken) / peak,
                "seconds": taken,
            }
            for contender, taken in seconds.items()
        }
    write(record, options.output)
    sys.stdout.write(markdown(record))
    return 0


def bert(small: bool) -> Any:
    """Return the configuration of the model."""
    from transformers import BertConfig

    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    return BertConfig(num_labels=2, **(sizes if small else {}))


def build(options: argparse.Namespace, attention_dropout: float) -> Any:
    """Return the model, on its device."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(0)
    config = bert(options.small)
    config.attention_probs_dropout_prob = attention_dropout
    return AutoModelForSequenceClassification.from_config(config).to(options.device)


def examples(options: argparse.Namespace, *, mixed: bool) -> list[Any]:
    """Return random token numbers, all of the full length or of lengths that vary as sentences do."""
    import numpy as np

    draw = np.random.default_rng(0)
    count = options.steps * options.batch_size
    sizes = np.full(count, options.length)
    if mixed:
        sizes = np.clip(draw.gamma(2.0, options.length / 8, count), 4, options.length).astype(int)
    return [draw.integers(1000, 30_000, n) for n in sizes]


def train_toolkit(rows: Sequence[Any], options: argparse.Namespace) -> float:
    """Return the seconds that the toolkit's loop takes, from the second tenth of the steps on."""
    import numpy as np

    from toolkit.config.settings import TrainingConfig
    from toolkit.data.batching.batch import Features, Ragged, pad
    from toolkit.training.distributed.devices import accelerator_for
    from toolkit.training.loop.arguments import Callbacks, Selection, TrainingData
    from toolkit.training.loop.train import train

    lengths = np.array([len(row) for row in rows])
    ids = Ragged(np.concatenate(rows).astype(np.int32), np.concatenate([[0], np.cumsum(lengths)]))
    features = Features({"input_ids": ids, "labels": np.arange(len(rows)) % 2}, lengths)
    config = TrainingConfig(epochs=1, batch_size=options.batch_size, learning_rate=1e-5, device=options.device)
    marks: list[float] = []

    def tenth(step: int) -> None:
        """Mark the end of the first tenth."""
        if step == options.steps // 10:
            marks.append(now(options.device))

    train(
        build(options, 0.0),
        TrainingData(features, lambda part: pad(part, {})),
        config,
        accelerator_for(config, "bf16"),
        selection=Selection(lambda _model: marks.append(now(options.device)) or {"loss": 0.0}),  # type: ignore[func-returns-value]
        callbacks=Callbacks(after_step=lambda step, _loss: tenth(step)),
    )
    return (marks[-1] - marks[0]) / (1 - 1 / 10)


def train_trainer(rows: Sequence[Any], options: argparse.Namespace, attention_dropout: float = 0.1) -> float:
    """Return the seconds of the tuned Trainer, from the second tenth on."""
    from datasets import Dataset
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from toolkit.data.batching.batch import pad

    marks: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        """Records when a tenth of the steps is done, and when all are."""

        def on_step_end(self, _arguments: Any, state: Any, _control: Any, **_: Any) -> None:
            if state.global_step in (options.steps // 10, options.steps):
                marks.append(now(options.device))

    table = Dataset.from_dict(
        {"input_ids": [row.tolist() for row in rows], "labels": [n % 2 for n in range(len(rows))]}
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=options.batch_size,
            learning_rate=1e-5,
            bf16=True,
            optim="adamw_torch_fused",
            train_sampling_strategy="group_by_length",
            dataloader_num_workers=2,
            dataloader_pin_memory=options.device == "cuda",
            use_cpu=options.device == "cpu",
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        Trainer(
            model=build(options, attention_dropout),
            args=arguments,
            train_dataset=table,
            data_collator=lambda part: pad(
                [{"input_ids": _array(example["input_ids"]), "labels": example["labels"]} for example in part], {}
            ),
            callbacks=[Clock()],
        ).train()
    return (marks[-1] - marks[0]) / (1 - 1 / 10)


def _array(values: Sequence[int]) -> Any:
    import numpy as np

    return np.asarray(values)


def matmul_peak(device: str, size: int, kind: str = "bf16") -> float:
    """Return the best speed of a matrix product, in FLOP/s; "fp32" as torch computes it by default."""
    import torch

    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[kind]
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        start = now(device)
        left @ right
        best = min(best, now(device) - start)
    return 2 * size**3 / best


def now(device: str) -> float:
    """Return the time after all work of the device is completed."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


def markdown(record: dict[str, Any]) -> str:
    """Return the table."""
    lines = [
        "| workload | contender | examples/s | tokens/s | share of the bf16 peak | × toolkit |",
        "|---|---|" + "---:|" * 4,
    ]
    for workload, results in record["workloads"].items():
        reference = results["toolkit"]["examples_per_second"]
        for contender, figures in results.items():
            lines.append(
                f"| {workload} | {contender} | {figures['examples_per_second']:,.0f} "
                f"| {figures['tokens_per_second']:,.0f} | {figures['matmul_share']:.0%} "
                f"| {reference / figures['examples_per_second']:.2f} |"
            )
    lines += [
        "",
        f"{record['device']}, torch {record['torch']}, bf16 peak {record['bf16_matmul_tflops']:.1f} TFLOP/s. "
        f"{record['date']}, `{record['command']}`.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
