"""What each economy of a training step is worth: `python -m benchmarks.ablation`, on the CPU, some minutes.

The packaged MiniLM takes the same steps on the same Rotten Tomatoes batches of 32 sentences of like lengths, with one
economy more in each variant. Variants take turns on every batch, and of several rounds the fastest counts, so that what
else runs on the machine weighs on none. The last variant is what `toolkit finetune` does by itself. A profile of it
follows: the share of time of each kind of operation.
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

from benchmarks.finetune import DATA, MODEL, RESULTS, WHERE, measure_machine, write

BATCH = 32


@dataclass
class Variant:
    """One way to take a step.

    Attributes:
        title: How the table names it.
        model: In training mode.
        optimizer: Over its parameters.
        packing: How a batch is packed, or None.
        seconds: The fastest time of each batch.
    """

    title: str
    model: Any
    optimizer: Any
    packing: Any
    seconds: list[float]

    def step(self, batch: Any) -> None:
        """Take one optimizer step."""
        import torch

        with self.packing.batch(batch, "cpu") if self.packing is not None else contextlib.nullcontext():
            self.model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description="What each economy is worth.")
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS / "ablation-cpu.json")
    options = parser.parse_args(arguments)
    batches = read_batches(options.batches)
    machine = measure_machine()
    with ExitStack() as after:
        variants = list(build(batches, after))
        for round_number in range(options.rounds + 1):
            for number, batch in enumerate(batches):
                for variant in variants:
                    start = time.perf_counter()
                    variant.step(batch)
                    taken = time.perf_counter() - start
                    if round_number:  # the first one warms up
                        variant.seconds[number] = min(variant.seconds[number], taken)
        shares = profile(variants[-1], batches)
    examples = BATCH * len(batches)
    record = {
        "command": "python -m benchmarks.ablation",
        "date": datetime.now(UTC).date().isoformat(),
        **machine,
        "samples_per_second": {v.title: examples / sum(v.seconds) for v in variants},
        "profile": shares,
    }
    write(record, options.output)
    sys.stdout.write(markdown(record))
    return 0


def read_batches(count: int) -> list[Any]:
    """Return batches as the toolkit's plan makes them."""
    import numpy as np
    from transformers import AutoTokenizer

    from toolkit import recipes, sources
    from toolkit.data.batch import pad, plan_epoch
    from toolkit.data.load import load_splits
    from toolkit.settings import DataConfig

    splits = load_splits(recipes.load("sentiment"), DataConfig(source=DATA, where=WHERE), 7)
    tokenizer = AutoTokenizer.from_pretrained(sources.package_path(MODEL.removeprefix("pkg://")))
    ids = tokenizer(splits.train["text"].to_pylist(), truncation=True, max_length=128)["input_ids"]
    labels = splits.train["label"].to_pylist()
    lengths = np.array([len(row) for row in ids])
    plan = plan_epoch(lengths, BATCH, seed=7, epoch=0)[:count]
    return [pad([{"input_ids": np.array(ids[row]), "labels": labels[row]} for row in rows], {}) for rows in plan]


def build(batches: Sequence[Any], after: ExitStack) -> Iterator[Variant]:
    """Yield the variants, each with one economy more than the one before."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from toolkit import models, sources
    from toolkit.attention import packed
    from toolkit.training import dropout, embedding

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
                ready = after.enter_context(packed.unpadded(model, batches[0], dropout.drop))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
        return Variant(title, model, optimizer, ready, [float("inf")] * len(batches))

    cheap, kept = dropout.cheapen, embedding.keep_gradient
    yield variant("padded, dropout as the checkpoint has it", 0.1)
    yield variant("+ no dropout of attention weights", 0.0)
    yield variant("+ cheap dropout of hidden states", 0.0, cheap)
    yield variant("+ the embeddings' gradient stays in place", 0.0, cheap, kept)
    yield variant("+ no padding", 0.0, cheap, kept, packing="all layers")
    yield variant("+ the last layer works for first tokens only", 0.0, cheap, kept, packing="trimmed")


def profile(variant: Variant, batches: Sequence[Any]) -> dict[str, float]:
    """Return the share of time of each kind of operation, the largest first."""
    import torch

    kinds = {
        "matrix products": ("mm", "addmm", "bmm", "baddbmm"),
        "attention": ("_scaled_dot_product", "softmax"),
        "optimizer and clipping": ("_fused_adamw", "linalg_vector_norm", "_foreach", "zero_grad"),
        "GELU": ("gelu",),
        "layer norm": ("native_layer_norm",),
        "dropout": ("random_", "native_dropout", "aten::ge"),
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
