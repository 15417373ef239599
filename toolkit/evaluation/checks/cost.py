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
from toolkit.evaluation.statistics import latency
from toolkit.inference.encode import encode_rows

BATCH_SIZES = (1, 8, 32)
REPEATS = 30
ROUNDS = 5  # over all batch sizes and lengths, among which the repeats are divided
SECONDS = 3.0  # at most, for one batch size and length
WARM_UP = 3  # passes before the first round; one before each of the others
_MOST = 1000  # rows that are timed
_RESOLUTION = 1e-6  # milliseconds, below which no clock measures


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
    run: Callable[[Sequence[int]], None],
    features: Features,
    folder: Path,
    device: str,
    threads: int,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Return the report's section on cost.

    Args:
        run: Makes one forward pass over the given rows and waits for its end.
        features: Real examples to draw from.
        folder: Of the model's files.
        device: Where it computes.
        threads: That it computes with.
        confidence: Of the intervals of times.
    """
    order = np.argsort(features.lengths, kind="stable")
    counted = meter(device)
    cases = []
    for share in (0.1, 0.5, 1.0) if features.has_lengths else (1.0,):
        for size in BATCH_SIZES:
            if size <= len(order):
                end = max(size, round(share * len(order)))
                cases.append([int(row) for row in order[end - size : end]])
    rounds: list[list[Timed]] = [[] for _ in cases]
    for number in range(ROUNDS):
        for rows, timed in zip(cases, rounds, strict=True):
            timed.append(measure(
                lambda rows=rows: run(rows),  # type: ignore[misc]
                counted.read,
                repeats=REPEATS // ROUNDS,
                seconds=SECONDS / ROUNDS,
                warm_up=1 if number else WARM_UP,
            ))  # fmt: skip
    timings = []
    for rows, timed in zip(cases, rounds, strict=True):
        length = int(features.lengths[rows].max()) if features.has_lengths else None
        timings.append({"batch_size": len(rows), "length": length, **_figures(timed, len(rows), confidence)})
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {
        "confidence": confidence,
        "device": device,
        "threads": threads,
        "bytes_on_disk": sum(file.stat().st_size for file in files),
        "timings": timings,
        "energy": counted.name,
    }


def _figures(rounds: Sequence[Timed], size: int, confidence: float) -> dict[str, Any]:
    """Return the figures of the passes of all rounds, over batches of a size."""
    each = np.concatenate([timed.seconds for timed in rounds])
    medians = [max(1000 * float(np.median(timed.seconds)), _RESOLUTION) for timed in rounds]
    spent = [timed.joules for timed in rounds if timed.joules is not None]
    median = latency.typical(medians, confidence)
    return {
        "passes": len(each),
        "rounds_ms": medians,
        "median_ms": {"value": median.value, "low": median.low, "high": median.high},
        "p50_ms": float(1000 * np.quantile(each, 0.5)),
        "p99_ms": float(1000 * np.quantile(each, 0.99)),
        "examples_per_second": float(size * len(each) / max(each.sum(), _RESOLUTION)),
        "joules_per_example": sum(spent) / (size * len(each)) if len(spent) == len(rounds) else None,
    }


def measure(
    work: Callable[[], None],
    joules: Callable[[], list[float]] = list,
    clock: Callable[[], float] = time.perf_counter,
    *,
    repeats: int = REPEATS,
    seconds: float = SECONDS,
    warm_up: int = WARM_UP,
) -> Timed:
    """Repeat some work, after a few passes that do not count, and time each pass.

    Args:
        work: One pass.
        joules: Reads the counters of energy.
        clock: Reads the time in seconds.
        repeats: Passes that are timed.
        seconds: After which no further one begins.
        warm_up: Passes before them.
    """
    for _ in range(warm_up):
        work()
    passed: list[float] = []
    before = joules()
    while len(passed) < repeats and sum(passed) < seconds:
        start = clock()
        work()
        passed.append(clock() - start)
    after = joules()
    spent = [b - a for a, b in zip(before, after, strict=True)] if len(before) == len(after) else []
    return Timed(passed, sum(spent) if spent and min(spent) >= 0 else None)  # a counter that overflowed is useless


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

    confidence = context.config.evaluation.confidence
    costs = section(run, features, stored.folder, device.type, torch.get_num_threads(), confidence)
    return {**costs, "timed": "generation" if recipe.generate is not None else "forward passes"}


CHECK = Check("cost", _run, wanted=named("cost"), stage=lambda _context: "Measuring the cost of predictions")
