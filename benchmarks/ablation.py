"""The gain of each optimization of a training step: `python -m benchmarks.ablation`, on the CPU, some minutes.

Three models take steps as `toolkit finetune` takes them, then without one optimization, and with none
(`training.acceleration=off`):

- text: the packaged MiniLM on Rotten Tomatoes, batches of 32 sentences of like lengths
- image: a Vision Transformer of DeiT-Ti's size with random weights, batches of 32 random pictures of 96 × 96
- translation: T5 of FLAN-T5-small's width and half its depth with random weights, batches of 8 random pairs

Variants alternate, each over all batches. The gain of an optimization is the time without it over the time with it in
the same round: the median over the rounds, with the lowest and the highest. A profile of the whole follows: the time
of each kind of operation in a step, and with several threads also what it is with one.

`--only cheap freed` measures only these optimizations, `--precision bf16` takes the steps in 16 bits, `--compile` adds
a variant with layers compiled by torch.compile. `--threads 1` excludes waiting between threads, and counts the
time of the processor, which excludes other programs on the same core.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.finetune import DATA, MODEL, RESULTS, WHERE, called, measure_machine, write

BATCH = 32
WARM_UP = 2  # warm-up steps of each turn
AUTO, OFF, COMPILED = "all economies", "plain PyTorch", "all economies, and compiled layers"
FUSED = "fused AdamW"
PRODUCTS = "plain products in the place of SDPA"
ROUNDED = "token counts in multiples of 64"
WIDENED = "these plain products in 32 bits"
IN_16_BITS = (PRODUCTS, ROUNDED, WIDENED)

Batch = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """A model and its training data.

    Attributes:
        model: On the CPU, in training mode.
        batches: With labels.
        economies: Optimizations that apply to it.
    """

    model: Any
    batches: Sequence[Batch]
    economies: Sequence[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description="The gain of each optimization.")
    parser.add_argument("--workload", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--only", nargs="+", metavar="ECONOMY", default=[""], help="prefixes of their names")
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--compile", action="store_true", help="also with compiled layers")
    parser.add_argument("--threads", type=int, help="all when not given")
    parser.add_argument("--output", type=Path, help="default benchmarks/results/ablation-….json")
    options = parser.parse_args(arguments)
    import torch

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    bf16 = options.precision == "bf16"
    record = {
        "command": called("ablation", arguments),
        "date": datetime.now(UTC).date().isoformat(),
        **measure_machine(),
        "threads": torch.get_num_threads(),
        "workloads": {
            name: measure(
                WORKLOADS[name](options.batches),
                options.rounds,
                tuple(options.only),
                bf16=bf16,
                compile_layers=options.compile,
            )
            for name in options.workload
        },
    }
    write(record, options.output or RESULTS / f"ablation-{'bf16-' if bf16 else ''}cpu.json")
    sys.stdout.write(markdown(record))
    return 0


def measure(
    workload: Workload, rounds: int, only: tuple[str, ...], *, bf16: bool, compile_layers: bool
) -> dict[str, Any]:
    """Return the examples per second of each variant in each round, and the time of a step by operation and threads."""
    import torch

    spared = [n for n in workload.economies if n.startswith(only) and (bf16 or n not in IN_16_BITS)]
    names = [AUTO, *spared, OFF, *([COMPILED] if compile_layers else [])]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + compile_layers):
        for name in names:
            taken = turn(workload, name, bf16)
            if number >= compile_layers:  # the first round compiles
                seconds[name].append(taken)
    examples = sum(len(batch["labels"]) for batch in workload.batches)
    return {
        "samples_per_second": {
            name: [examples / seconds_taken for seconds_taken in taken] for name, taken in seconds.items()
        },
        "profile": {str(threads): profile(workload, bf16, threads) for threads in {1, torch.get_num_threads()}},
    }


def turn(workload: Workload, name: str, bf16: bool) -> float:
    """Return the seconds of a step on each batch, in one variant."""
    import torch

    with variant(workload, name, bf16) as step:
        for number in range(WARM_UP):
            step(workload.batches[number % len(workload.batches)])
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        start = clock()
        for batch in workload.batches:
            step(batch)
        return clock() - start


@contextmanager
def variant(workload: Workload, name: str, bf16: bool) -> Iterator[Callable[[Batch], None]]:
    """Yield what takes a step: with all optimizations, with all except the named one, or with none."""
    import torch
    from accelerate import Accelerator

    from toolkit.config.settings import TrainingConfig
    from toolkit.training.acceleration.accelerate_model import AcceleratedModel, accelerated
    from toolkit.training.loop.schedule import build_optimizer, clip_gradients

    model, probe = workload.model, {key: values[:4] for key, values in workload.batches[0].items()}
    acceleration = "off" if name in (OFF, FUSED) else "auto"
    accelerator = Accelerator(cpu=True)
    config = TrainingConfig(learning_rate=1e-5, acceleration=acceleration)
    optimizer = accelerator.prepare_optimizer(build_optimizer(model, config))
    with ExitStack() as stack:
        for place, attribute, instead in without(name):
            stack.enter_context(mock.patch.object(place, attribute, instead))
        quick = AcceleratedModel()
        if name != OFF:
            quick = stack.enter_context(accelerated(model, probe, compiled=name == COMPILED))

        def step(batch: Batch) -> None:
            with quick.packing.batch(batch, "cpu") if quick.packing is not None else nullcontext():
                with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                    loss = quick.loss(model, batch) if quick.loss is not None else model(**batch).loss
                loss.backward()
            clip_gradients(accelerator, model, optimizer, 1.0, sharded=False)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        yield step


def without(economy: str) -> list[tuple[Any, str, Any]]:
    """Return what has to be put in the place of what, (module, name, instead), so that a step goes without it."""
    from toolkit.attention.implementations import packed, padded, sequences
    from toolkit.training.acceleration import embedding_gradient, fast_dropout, memory, target_loss

    def nothing(*_: Any) -> AbstractContextManager[None]:
        return nullcontext()

    places: Mapping[str, list[tuple[Any, str, Any]]] = {
        "no padding": [(packed, "unpadded", nothing)],
        "the last layer works for first tokens only": [(packed, "_trimmed", nothing)],
        PRODUCTS: [(module, "spells_out", lambda *_: False) for module in (sequences, padded)],
        WIDENED: [(sequences, "_widened", lambda _query: False)],
        ROUNDED: [(packed, "_generates_kernels", lambda _states: False)],
        "cheap dropout": [(fast_dropout, "cheapen", lambda _model: 0)],
        "the embeddings' gradient stays in place": [(embedding_gradient, "keep_gradient", lambda _model: 0)],
        "the loss is computed of target tokens": [(target_loss, "of_targets", nothing)],
        "own attention in padded batches": [(padded, "products", nothing)],
        "freed memory stays in the process": [(memory, "kept", nothing)],
    }
    return places.get(economy, [])


def texts(count: int) -> Workload:
    """Return the packaged MiniLM with batches of sentences."""
    from transformers import AutoModelForSequenceClassification

    from toolkit import models, sources

    path = sources.package_path(MODEL.removeprefix("pkg://"))
    with models.quiet():
        model = AutoModelForSequenceClassification.from_pretrained(
            path, num_labels=2, attention_probs_dropout_prob=0.0
        ).train()
    economies = [
        *("no padding", "the last layer works for first tokens only", *IN_16_BITS, "cheap dropout"),
        *("the embeddings' gradient stays in place", "freed memory stays in the process", FUSED),
    ]
    return Workload(model, read_batches(count), economies)


def pictures(count: int) -> Workload:
    """Return a small Vision Transformer with batches of noise."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768, image_size=96, num_labels=2
    )
    batches = [
        {"pixel_values": torch.randn(BATCH, 3, 96, 96), "labels": torch.randint(2, (BATCH,))} for _ in range(count)
    ]
    economies = [
        *("no padding", "the last layer works for first tokens only", PRODUCTS),
        *("freed memory stays in the process", FUSED),
    ]
    return Workload(ViTForImageClassification(config).train(), batches, economies)


def pairs(count: int) -> Workload:
    """Return a small T5 with batches of sources and targets of some 20 tokens."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=32128, d_model=512, d_kv=64, d_ff=1024, num_layers=4, num_heads=6, pad_token_id=0, eos_token_id=1,
        decoder_start_token_id=0, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
    )  # fmt: skip
    batches = []
    for _ in range(count):
        lengths = torch.randint(14, 29, (8, 1))
        real = torch.arange(28) < lengths
        ids, labels = (torch.randint(2, 32000, (8, 28)) for _ in range(2))
        mask = real.long()
        batches.append(
            {"input_ids": ids * mask, "attention_mask": mask, "labels": labels.masked_fill(~real.flip(0), -100)}
        )
    economies = [
        *(
            "own attention in padded batches",
            PRODUCTS,
            WIDENED,
            "cheap dropout",
            "the embeddings' gradient stays in place",
        ),
        *("the loss is computed of target tokens", "freed memory stays in the process", FUSED),
    ]
    return Workload(T5ForConditionalGeneration(config).train(), batches, economies)


WORKLOADS: dict[str, Callable[[int], Workload]] = {"text": texts, "image": pictures, "translation": pairs}


def read_batches(count: int) -> list[Any]:
    """Return batches of the toolkit's plan."""
    import numpy as np
    from transformers import AutoTokenizer

    from toolkit import sources
    from toolkit.config.settings import DataConfig
    from toolkit.data.batching.batch import pad, plan_epoch
    from toolkit.data.load import load_splits
    from toolkit.tasks import loading

    splits = load_splits(loading.load("sentiment"), DataConfig(source=DATA, where=WHERE), 7)
    tokenizer = AutoTokenizer.from_pretrained(sources.package_path(MODEL.removeprefix("pkg://")))
    ids = tokenizer(splits.train["text"].to_pylist(), truncation=True, max_length=128)["input_ids"]
    labels = splits.train["label"].to_pylist()
    lengths = np.array([len(row) for row in ids])
    plan = plan_epoch(lengths, BATCH, seed=7, epoch=0)[:count]
    return [pad([{"input_ids": np.array(ids[row]), "labels": labels[row]} for row in rows], {}) for rows in plan]


def profile(workload: Workload, bf16: bool, threads: int) -> dict[str, float]:
    """Return the milliseconds that each kind of operation takes in a step with all optimizations, the most first."""
    import torch

    kinds = {
        "matrix products": ("mm", "addmm", "bmm", "baddbmm"),
        "attention": ("_scaled_dot_product", "softmax"),
        "optimizer and clipping": ("_fused_adamw", "linalg_vector_norm", "_foreach", "zero_grad"),
        "GELU": ("gelu",),
        "layer norm": ("native_layer_norm",),
        "dropout": ("random_", "native_dropout", "bitwise", "neg_", "__rshift__"),
        "copies and fills": ("copy_", "fill_", "zero_", "index", "cat"),
    }
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with variant(workload, AUTO, bf16) as step:
            for number in range(WARM_UP):
                step(workload.batches[number % len(workload.batches)])
            with torch.profiler.profile() as record:
                for batch in workload.batches:
                    step(batch)
    finally:
        torch.set_num_threads(before)
    times = dict.fromkeys((*kinds, "the rest"), 0.0)
    for event in record.key_averages():
        name = event.key.removeprefix("aten::")
        matching = (
            kind
            for kind, parts in kinds.items()
            if any(part in name if kind != "matrix products" else part == name for part in parts)
        )
        times[next(matching, "the rest")] += event.self_cpu_time_total / 1000 / len(workload.batches)
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def markdown(record: Mapping[str, Any]) -> str:
    """Return the tables of all workloads."""
    lines: list[str] = []
    for name, workload in record["workloads"].items():
        speeds = workload["samples_per_second"]
        rows = [(variant, *_worth(speeds[AUTO], own)) for variant, own in speeds.items() if variant != AUTO]
        whole = statistics.median(speeds[AUTO])
        lines += [f"| {name}: disabled optimization | samples/s | gain | rounds |", "|---|---:|---:|---:|"]
        lines += [f"| nothing | {whole:.1f} | | |"]
        lines += [
            f"| {'everything' if variant == OFF else variant} | {statistics.median(speeds[variant]):.1f} | "
            f"{middle - 1:+.1%} | {low - 1:+.1%} to {high - 1:+.1%} |"
            for variant, middle, low, high in rows
        ]
        lines += ["", *_by_operation(workload["profile"]), ""]
    threads = "one thread" if record["threads"] == 1 else f"{record['threads']} threads"
    lines += [f"{record['machine']['processor']}, {threads}. {record['date']}, `{record['command']}`."]
    return "\n".join(lines) + "\n"


def _by_operation(profiles: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the table of a step's time by operation, in milliseconds, with each number of threads."""
    counts = sorted(profiles, key=int)
    most = profiles[counts[-1]]
    heads = [f"{count} thread{'s' if count != '1' else ''}, ms" for count in counts]
    more = ["times as fast"] if len(counts) > 1 else []
    lines = [f"| {' | '.join(['time of a step by operation', *heads, 'share', *more])} |"]
    lines += ["|---" + "|---:" * (len(heads) + 1 + len(more)) + "|"]
    for kind, taken in [*most.items(), ("the whole", sum(most.values()))]:
        spent = [sum(profiles[count].values()) if kind == "the whole" else profiles[count][kind] for count in counts]
        cells = [f"{value:.1f}" for value in spent] + [f"{taken / sum(most.values()):.0%}"]
        cells += [f"{spent[0] / taken:.2f}" if taken else "–"] if more else []
        lines.append(f"| {' | '.join([kind, *cells])} |")
    return lines


def _worth(whole: Sequence[float], without_it: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, lowest and highest ratio of the speed with an optimization to that without it, by rounds."""
    ratios = [seconds_whole / other for seconds_whole, other in zip(whole, without_it, strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


if __name__ == "__main__":
    sys.exit(main())
