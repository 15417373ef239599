"""Evaluation compared: `toolkit evaluate`'s forward passes, and the pipeline of transformers with its best batch size.

    python -m benchmarks.evaluate RUN                the rows that a run was evaluated on
    python -m benchmarks.evaluate RUN --rows 200     the first 200 of them: does everything run?
    python -m benchmarks.evaluate RUN --profile      only the toolkit's time by operation

Both predict the same rows with the same model, in this process, one after another, for several rounds; the first one
changes from round to round. Texts go in and classes come out on both sides: tokenizing counts. The pipeline is tried
with every batch size of --batch-sizes first, and the fastest is the one that is compared. Both must give the same
classes.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from toolkit.commands.evaluate.prepare import prepare_evaluation
from toolkit.inference.encode import encode_rows
from toolkit.inference.model import StoredModel
from toolkit.inference.predict_features import predict_features

MAX_DIFFERING = 0.002  # share of predictions that rounding may change


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that some work took, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def ours(stored: StoredModel, rows: Any) -> Callable[[], list[str]]:
    """Return the toolkit's function from rows to names of classes."""
    subject = stored.loaded

    def work() -> list[str]:
        features = encode_rows(rows, subject)
        predictions = predict_features(subject, features).columns["prediction"]
        return [stored.labels[number] for number in predictions]

    return work


def theirs(stored: StoredModel, texts: Sequence[str], batch_size: int) -> Callable[[], list[str]]:
    """Return the pipeline's function from texts to names of classes."""
    from transformers import pipeline as make_pipeline

    subject = stored.loaded
    classify = make_pipeline(
        "text-classification", model=subject.model, tokenizer=subject.processor, device=subject.model.device
    )
    options = {"batch_size": batch_size, "truncation": True, "max_length": stored.config.data.max_length}
    return lambda: [answer["label"] for answer in classify(list(texts), **options)]


def profile(work: Callable[[], Any], encode: Callable[[], Any]) -> list[tuple[str, float]]:
    """Return tokenizing's share of the processor time of the whole, and of torch's time its largest kernels' shares.

    Shares are of one run, so that other work on the machine affects them little.

    Args:
        work: From texts to predictions.
        encode: Its tokenization.
    """
    import torch

    start = time.process_time()
    encode()
    tokenizing = time.process_time() - start
    start = time.process_time()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
        work()
    whole = time.process_time() - start
    kernels = sorted(recorded.key_averages(), key=lambda kernel: -kernel.self_cpu_time_total)
    total = sum(kernel.self_cpu_time_total for kernel in kernels)
    shares = [(kernel.key.removeprefix("aten::"), kernel.self_cpu_time_total / total) for kernel in kernels[:6]]
    return [("tokenizing", tokenizing / whole), *shares]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--rows", type=int, default=None)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"], help="of the toolkit's side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-sizes", default="1,8,16,32,64,128")
    parser.add_argument("--profile", action="store_true", help="print where time goes (on one thread)")
    chosen = parser.parse_args()
    values = {"evaluation": {"precision": chosen.precision}}
    subject = prepare_evaluation(chosen.run, values, None, lambda _: None)
    rows = subject.rows.slice(0, chosen.rows or subject.rows.num_rows)
    stored = StoredModel(subject.checkpoint.path, subject.recipe, subject.labels, subject.config)
    if chosen.profile:
        import torch

        torch.set_num_threads(1)
        work = ours(stored, rows)
        work()
        encode = partial(encode_rows, rows, stored.loaded)
        for name, share in profile(work, encode):
            say(f"{name:<45} {100 * share:5.1f} %")
        return
    texts = rows["text"].to_pylist()
    sample = texts[: max(64, len(texts) // 4)]
    speeds = {}
    for size in map(int, chosen.batch_sizes.split(",")):
        seconds, _ = timed(theirs(stored, sample, size))
        speeds[size] = len(sample) / seconds
        say(f"pipeline, batch {size:>3}: {speeds[size]:8.1f} rows/s")
    best = max(speeds, key=lambda size: speeds[size])
    contenders = {"toolkit": ours(stored, rows), f"pipeline, batch {best}": theirs(stored, texts, best)}
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    answers: dict[str, list[str]] = {}
    for number in range(chosen.rounds):
        for name in list(contenders)[:: 1 if number % 2 == 0 else -1]:
            seconds, answers[name] = timed(contenders[name])
            taken[name].append(seconds)
    for name, seconds_ in taken.items():
        middle = statistics.median(seconds_)
        spread = f"median of {chosen.rounds}; {min(seconds_):.2f} to {max(seconds_):.2f} s"
        say(f"{name}: {len(texts) / middle:8.1f} rows/s  ({spread})")
    ours_seconds, theirs_seconds = taken.values()
    say(f"ratio of medians: {statistics.median(theirs_seconds) / statistics.median(ours_seconds):.2f}")
    first, second = answers.values()
    differing = sum(a != b for a, b in zip(first, second, strict=True)) / len(texts)
    say(f"different predictions: {100 * differing:.2f} %")
    if differing > MAX_DIFFERING:
        sys.exit("the two did not do the same work")


if __name__ == "__main__":
    main()
