"""The cost of a prediction: parameters, disk, time, and energy where the machine reports it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.data.batching.batch import Features
from toolkit.evaluation.check import Check, named
from toolkit.evaluation.checks.energy import meter
from toolkit.evaluation.context import EvaluationContext
from toolkit.inference.encode import encode_rows

BATCH_SIZES = (1, 8, 32)
REPEATS = 30
SECONDS = 3.0  # at most, for one batch size and length
WARM_UP = 3
_MOST = 1000  # rows that are timed


@dataclass(frozen=True)
class Timed:
    """Repeated forward passes.

    Attributes:
        seconds: Of each pass.
        joules: Of all passes together; None without a counter.
    """

    seconds: Sequence[float]
    joules: float | None


def section(
    run: Callable[[Sequence[int]], None], features: Features, folder: Path, device: str, threads: int
) -> dict[str, Any]:
    """Return the report's section on cost.

    Args:
        run: Makes one forward pass over the given rows and waits for its end.
        features: Real examples to draw from.
        folder: Of the model's files.
        device: Where it computes.
        threads: That it computes with.
    """
    order = np.argsort(features.lengths, kind="stable")
    counted = meter(device)
    timings = []
    for share in (0.1, 0.5, 1.0) if features.has_lengths else (1.0,):
        for size in BATCH_SIZES:
            if size > len(order):
                continue
            end = max(size, round(share * len(order)))
            rows = [int(row) for row in order[end - size : end]]
            timed = measure(lambda rows=rows: run(rows), counted.read)  # type: ignore[misc]
            each = np.array(timed.seconds)
            timings.append(
                {
                    "batch_size": size,
                    "length": int(features.lengths[rows].max()) if features.has_lengths else None,
                    "passes": len(each),
                    "p50_ms": float(1000 * np.quantile(each, 0.5)),
                    "p99_ms": float(1000 * np.quantile(each, 0.99)),
                    "examples_per_second": float(size * len(each) / each.sum()),
                    "joules_per_example": None if timed.joules is None else timed.joules / (size * len(each)),
                }
            )
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {
        "device": device,
        "threads": threads,
        "bytes_on_disk": sum(file.stat().st_size for file in files),
        "timings": timings,
        "energy": counted.name,
    }


def measure(
    work: Callable[[], None], joules: Callable[[], list[float]] = list, clock: Callable[[], float] = time.perf_counter
) -> Timed:
    """Repeat some work, after a few passes that do not count, and time each pass.

    Args:
        work: One pass.
        joules: Reads the counters of energy.
        clock: Reads the time in seconds.
    """
    for _ in range(WARM_UP):
        work()
    seconds: list[float] = []
    before = joules()
    while len(seconds) < REPEATS and sum(seconds) < SECONDS:
        start = clock()
        work()
        seconds.append(clock() - start)
    after = joules()
    spent = [b - a for a, b in zip(before, after, strict=True)] if len(before) == len(after) else []
    return Timed(seconds, sum(spent) if spent and min(spent) >= 0 else None)  # a counter that overflowed is useless


def _run(context: EvaluationContext) -> dict[str, Any]:
    """Time a complete prediction: one forward pass, or a text generated token by token."""
    import torch

    stored = context.stored
    assert stored is not None  # a check that needs predictions runs where there is a model
    loaded, recipe = stored.loaded, stored.recipe
    features = encode_rows(context.rows.slice(0, _MOST), loaded)
    device = loaded.model.device
    predict: Callable[..., Any] = lambda model, batch: model(**batch)  # noqa: E731
    if recipe.generate is not None:
        predict = partial(recipe.generate, processor=loaded.processor, config=stored.config)

    def run(numbers: Sequence[int]) -> None:
        batch = recipe.collate([features[row] for row in numbers], loaded.processor)
        with torch.inference_mode():
            predict(loaded.model, {name: tensor.to(device) for name, tensor in batch.items()})
        if device.type == "cuda":
            torch.cuda.synchronize()

    costs = section(run, features, stored.folder, device.type, torch.get_num_threads())
    return {**costs, "timed": "generation" if recipe.generate is not None else "forward passes"}


CHECK = Check("cost", _run, wanted=named("cost"), stage=lambda _context: "Measuring the cost of predictions")
