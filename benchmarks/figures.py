"""From measurements to the table: FLOPs, medians, ratios."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Result = dict[str, Any]

REFERENCE = "toolkit"


def training_flops(config: Mapping[str, Any], lengths: Sequence[int], classes: int = 2) -> int:
    """Return the matrix-multiplication FLOPs that one pass over `lengths` needs, forward and backward.

    A weight matrix of N parameters costs 2·N FLOPs a token forward and twice that backward: 6·N. Attention costs, in
    each layer, 2·T·d for the scores and 2·T·d for the weighted sum forward, three times that in all: 12·T·d a token,
    12·T²·d a sequence. Pooler and classifier see one token of each sequence. Padding and recomputation, which a
    program may do but need not, are not counted; nor is anything other than matrix products.

    Source: Chowdhery et al. 2022, "PaLM", appendix B (6N + 12·L·H·Q·T a token); the dot products per token are those
    of Kaplan et al. 2020, "Scaling Laws for Neural Language Models", table 1.

    Args:
        config: A BERT's config.json.
        lengths: Real tokens of each sequence, special tokens included.
        classes: Outputs of the classifier.
    """
    width, layers = config["hidden_size"], config["num_hidden_layers"]
    linear = layers * (4 * width**2 + 2 * width * config["intermediate_size"])
    head = width**2 + width * classes
    attention = 12 * layers * width * sum(length**2 for length in lengths)
    return int(6 * linear * sum(lengths) + attention + 6 * head * len(lengths))


def seconds_to(target: float, curve: Sequence[Sequence[float]]) -> float | None:
    """Return the training seconds at the first point of the curve that reaches `target`, or None."""
    return next((seconds for seconds, accuracy in curve if accuracy >= target), None)


def derive(result: Result, *, samples: int, tokens: int, flops: int, gemm_gflops: float, target: float) -> Result:
    """Add derived values to a contender's result.

    Args:
        result: As the contender wrote it.
        samples: Examples trained on, over all epochs.
        tokens: Their real tokens.
        flops: Their matrix-multiplication FLOPs.
        gemm_gflops: Best matrix multiplication speed of the machine in this round.
        target: Accuracy to be reached.
    """
    seconds = result["training_seconds"]
    return {
        **result,
        "samples_per_second": samples / seconds,
        "tokens_per_second": tokens / seconds,
        "gflops": flops / seconds / 1e9,
        "gemm_share": flops / seconds / 1e9 / gemm_gflops,
        "seconds_to_target": seconds_to(target, result["curve"]),
    }


def spread(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return median, least and greatest; a value that was never reached counts as infinite."""
    known = [math.inf if value is None else value for value in values]
    figures = {"median": statistics.median(known), "min": min(known), "max": max(known)}
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def summarize(rounds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each contender the spread of each figure over the rounds that it finished.

    "times_reference" is a contender's training time over the toolkit's in the same round, so that a slow phase of the
    machine affects both; "times_reference_to_target" likewise for the time to the target.
    """
    names = list(dict.fromkeys(name for entry in rounds for name in entry["results"]))
    summary: dict[str, dict[str, Any]] = {}
    for name in names:
        results = [entry["results"][name] for entry in rounds if name in entry["results"]]
        figures: dict[str, Any] = {key: spread([result[key] for result in results]) for key in FIGURES}
        pairs = [
            (entry["results"][name], entry["results"][REFERENCE])
            for entry in rounds
            if name in entry["results"] and REFERENCE in entry["results"]
        ]
        for key, ratio in (("training_seconds", "times_reference"), ("seconds_to_target", "times_reference_to_target")):
            ratios = [mine[key] / theirs[key] for mine, theirs in pairs if mine[key] and theirs[key]]
            figures[ratio] = spread(ratios) if ratios else None
        summary[name] = figures
    return summary


FIGURES = (
    "training_seconds",
    "wall_seconds",
    "samples_per_second",
    "tokens_per_second",
    "gflops",
    "gemm_share",
    "seconds_to_target",
    "accuracy",
    "peak_memory_mib",
)


def markdown(record: Mapping[str, Any]) -> str:
    """Return the record as a Markdown table with its conditions."""
    settings, machine = record["settings"], record["machine"]
    target = settings["target"]
    header = (
        "contender",
        "samples/s",
        "real tokens/s",
        "share of GEMM peak",
        "training time",
        "× toolkit",
        f"time to {target:.0%}",
        "test accuracy",
        "peak memory",
        "whole process",
    )
    lines = [_row(header), _row(["---", *["---:"] * (len(header) - 1)])]
    for name, figures in record["summary"].items():
        lines.append(
            _row(
                (
                    record["contenders"][name],
                    _cell(figures["samples_per_second"], "{:.1f}"),
                    _cell(figures["tokens_per_second"], "{:,.0f}"),
                    _cell(figures["gemm_share"], "{:.0%}"),
                    _cell(figures["training_seconds"], "{:.0f} s"),
                    _cell(figures["times_reference"], "{:.2f}"),
                    _cell(figures["seconds_to_target"], "{:.0f} s"),
                    _cell(figures["accuracy"], "{:.1%}"),
                    _cell(figures["peak_memory_mib"], "{:,.0f} MiB"),
                    _cell(figures["wall_seconds"], "{:.0f} s"),
                )
            )
        )
    lines += ["", _caption(record, settings, machine)]
    lines += [f"- {record['contenders'][name]}: {reason}" for name, reason in record["failures"].items()]
    return "\n".join(lines) + "\n"


def _caption(record: Mapping[str, Any], settings: Mapping[str, Any], machine: Mapping[str, Any]) -> str:
    rows, rounds = settings["rows"], record["rounds"]
    peaks = [entry["gemm_gflops"] for entry in rounds]
    return (
        f"Medians of {_count(len(rounds), 'interleaved round')} (least – greatest). "
        f"{settings['model']} on {settings['data']}: {rows['train']:,} training, {rows['validation']:,} validation and "
        f"{rows['test']:,} test rows, {settings['tokens_per_example']:.1f} tokens each; "
        f"{_count(settings['epochs'], 'epoch')}, batch {settings['batch_size']}, "
        f"learning rate {settings['learning_rate']:g}. "
        f"{machine['processor']}, {machine['processors']} cores, {machine['threads']} threads, "
        f"torch {machine['torch']}, "
        f"transformers {machine['transformers']}; fp32 GEMM peak {min(peaks):.0f} – {max(peaks):.0f} GFLOP/s. "
        f"The share is of that peak, also for contenders in bf16{_in_bf16(record)}. "
        f"{record['date']}, `{record['command']}`."
    )


def _in_bf16(record: Mapping[str, Any]) -> str:
    results = [item for entry in record["rounds"] for item in entry["results"].items()]
    names = dict.fromkeys(record["contenders"][name] for name, result in results if result.get("precision") == "bf16")
    return f" (here {'; '.join(names)})" if names else " (here none)"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cell(figures: Mapping[str, float | None] | None, form: str) -> str:
    if figures is None or figures["median"] is None:
        return "–"
    median, least, greatest = figures["median"], figures["min"], figures["max"]
    if least == greatest:
        return form.format(median)
    span = " – ".join("never" if value is None else form.format(value) for value in (least, greatest))
    return f"{form.format(median)} ({span})"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
