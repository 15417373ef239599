"""What each economy of a training step is worth: `python -m benchmarks.ablation`, on the CPU, some minutes.

The packaged MiniLM takes the same steps on the same Rotten Tomatoes batches of 32 sentences of like lengths, with one
economy more in each variant. Variants take turns on every batch, and of several rounds the fastest counts, so that what
else runs on the machine weighs on none. The last variant is what `toolkit finetune` does by itself. A profile of it
follows: the share of time of each kind of operation.

`--precision bf16` takes the steps in 16 bits, `--compile` adds the same with layers that torch.compile made (a minute
or two), `--threads 1` leaves out what threads wait for each other.
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.finetune import DATA, MODEL, RESULTS, WHERE, called, measure_machine, write

BATCH = 32


@dataclass
class Variant:
    """One way to take a step.

    Attributes:
        title: How the table names it.
        model: In training mode.
        optimizer: Over its parameters.
        packing: How a batch is packed, or None.
        bf16: Whether products are in 16 bits.
        seconds: The fastest time of each batch.
    """

    title: str
    model: Any
    optimizer: Any
    packing: Any
    bf16: bool
    seconds: list[float]

    def step(self, batch: Any) -> None:
        """Take one optimizer step."""
        import torch

        with self.packing.batch(batch, "cpu") if self.packing is not None else contextlib.nullcontext():
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                loss = self.model(**batch).loss
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description="What each economy is worth.")
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--compile", action="store_true", help="also with compiled layers")
    parser.add_argument("--threads", type=int, help="all when not given")
    parser.add_argument("--output", type=Path, help="default benchmarks/results/ablation-….json")
    options = parser.parse_args(arguments)
    if options.threads is not None:
        import torch

        torch.set_num_threads(options.threads)
    bf16 = options.precision == "bf16"
    batches = read_batches(options.batches)
    machine = measure_machine()
    with ExitStack() as after:
        variants = list(build(batches, after, bf16=bf16, compile_layers=options.compile))
        for round_number in range(options.rounds + 1 + options.compile):
            for number, batch in enumerate(batches):
                for variant in variants:
                    start = time.perf_counter()
                    variant.step(batch)
                    taken = time.perf_counter() - start
                    if round_number > options.compile:  # the first one warms up, of compiled layers two
                        variant.seconds[number] = min(variant.seconds[number], taken)
        shares = profile(variants[-2 if options.compile else -1], batches)
    examples = BATCH * len(batches)
    record = {
        "command": called("ablation", arguments),
        "date": datetime.now(UTC).date().isoformat(),
        **machine,
        "samples_per_second": {v.title: examples / sum(v.seconds) for v in variants},
        "profile": shares,
    }
    write(record, options.output or RESULTS / f"ablation-{'bf16-' if bf16 else ''}cpu.json")
    sys.stdout.write(markdown(record))
    return 0


def read_batches(count: int) -> list[Any]:
    """Return batches as the toolkit's plan makes them."""
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


def build(
    batches: Sequence[Any], after: ExitStack, *, bf16: bool = False, compile_layers: bool = False
) -> Iterator[Variant]:
    """Yield the variants, each with one economy more than the one before."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from toolkit import models, sources
    from toolkit.attention import packed
    from toolkit.training.acceleration import compiling, embedding_gradient, fast_dropout

    path = sources.package_path(MODEL.removeprefix("pkg://"))

    def variant(title: str, attention_dropout: float, *economies: Callable[[Any], Any], packing: str = "") -> Variant:
        torch.manual_seed(0)
        with models.quiet():
            model = AutoModelForSequenceClassification.from_pretrained(
                path, num_labels=2, attention_probs_dropout_prob=attention_dropout
            ).train()
        for economy in economies:
            economy(model)
        untrimmed = mock.patch.object(packed, "_trimmed", lambda *_: contextlib.nullcontext(False))
        ready = None
        if packing:
            with untrimmed if packing == "all layers" else contextlib.nullcontext():
                ready = after.enter_context(packed.unpadded(model, batches[0], fast_dropout.drop))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
        return Variant(title, model, optimizer, ready, bf16, [float("inf")] * len(batches))

    cheap, kept = fast_dropout.cheapen, embedding_gradient.keep_gradient
    yield variant("padded, dropout as the checkpoint has it", 0.1)
    yield variant("+ no dropout of attention weights", 0.0)
    yield variant("+ cheap dropout of hidden states", 0.0, cheap)
    yield variant("+ the embeddings' gradient stays in place", 0.0, cheap, kept)
    yield variant("+ no padding", 0.0, cheap, kept, packing="all layers")
    yield variant("+ the last layer works for first tokens only", 0.0, cheap, kept, packing="trimmed")
    if compile_layers:
        last = variant("+ compiled layers", 0.0, cheap, kept, packing="trimmed")
        after.enter_context(compiling.compiled(last.model, last.packing))
        yield last


def profile(variant: Variant, batches: Sequence[Any]) -> dict[str, float]:
    """Return the share of time of each kind of operation, the largest first."""
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
    with torch.profiler.profile() as record:
        for batch in batches:
            variant.step(batch)
    times = dict.fromkeys((*kinds, "the rest"), 0.0)
    for event in record.key_averages():
        name = event.key.removeprefix("aten::")
        matching = (
            kind
            for kind, parts in kinds.items()
            if any(part in name if kind != "matrix products" else part == name for part in parts)
        )
        times[next(matching, "the rest")] += event.self_cpu_time_total
    total = sum(times.values())
    return dict(sorted(((kind, spent / total) for kind, spent in times.items()), key=lambda one: -one[1]))


def markdown(record: dict[str, Any]) -> str:
    """Return both tables."""
    speeds = record["samples_per_second"]
    first = next(iter(speeds.values()))
    lines = ["| variant | samples/s | × the first |", "|---|---:|---:|"]
    lines += [f"| {title} | {speed:.1f} | {speed / first:.2f} |" for title, speed in speeds.items()]
    lines += ["", "| where the time of the last variant goes | share |", "|---|---:|"]
    lines += [f"| {kind} | {share:.0%} |" for kind, share in record["profile"].items()]
    machine = record["machine"]
    lines += ["", f"{machine['processor']}, {machine['processors']} cores. {record['date']}, `{record['command']}`."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
