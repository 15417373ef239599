"""Coverage of the intervals of metrics, in simulations in which the true figure is known.

    python -m benchmarks.coverage                      every metric, 200 and 500 rows, 1,000 simulations each
    python -m benchmarks.coverage --only pearson r2    some of them; the record keeps the others; none for groups alone
    python -m benchmarks.coverage --simulations 50     does everything run?

Rows are drawn from a population: texts with up to six classes, of which the rarest has one row in twenty; five ordered
classes; numbers with errors that are larger for larger numbers and have heavier tails than normal ones. A metric of a
very large sample is the true figure. The coverage is the share of samples whose interval contains it; the interval is
computed as evaluation computes it, at a confidence of 95 %. Means over classes, macro F1 and mean average precision,
are covered less often with 200 rows, of which ten have the rarest class: other intervals (studentized, on the logit
scale, percentile) were no better.

The second table is of rows that belong to groups, whose accuracy differs from group to group (beta distributed, with an
intraclass correlation): the coverage of the interval over groups, and of the one that takes rows as independent.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.finetune import RESULTS, measure_machine, write
from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation.scores import figure_interval
from toolkit.metrics import Metric, RankMetric, classification, column, multi_label, ordinal, regression

NOMINAL = 0.95
TOLERATED = (0.93, 0.97)
POPULATION = 400_000  # rows of the sample that gives the true figure
SHARES = (0.45, 0.3, 0.2, 0.15, 0.1, 0.05)  # rows with each class

Sample = tuple[dict[str, Any], Any]  # columns of predictions, and the truth


def several_classes(random: np.random.Generator, rows: int) -> Sample:
    """Draw rows with several classes, of which some are harder than others."""
    true = random.random((rows, len(SHARES))) < SHARES
    hard = random.normal(size=(rows, 1)) * 0.6
    shares = np.array(SHARES)
    logits = np.log(shares / (1 - shares)) + 2.5 * (true - shares) + hard + random.normal(size=true.shape)
    probabilities = 1 / (1 + np.exp(-logits))
    return {"prediction": _lists(probabilities >= 0.5), "probabilities": probabilities}, _lists(true)


def _lists(members: np.ndarray[Any, Any]) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in members]
    for row, number in np.argwhere(members).tolist():
        rows[row].append(number)
    return rows


def ordered_classes(random: np.random.Generator, rows: int) -> Sample:
    """Draw stars from one to five, more high ones than low ones."""
    latent = random.normal(0.5, 1, rows)
    edges = (-1.2, -0.4, 0.4, 1.2)
    predicted = np.digitize(latent + random.normal(0, 0.6, rows), edges)
    return {"prediction": predicted}, np.digitize(latent, edges)


def numbers(random: np.random.Generator, rows: int) -> Sample:
    """Draw skewed numbers, with errors that grow with them and have heavy tails."""
    true = np.exp(random.normal(0, 0.4, rows))
    predicted = 0.2 + 0.8 * true + 0.25 * np.sqrt(true) * random.standard_t(8, rows)
    return {"prediction": predicted}, true


GROUPED = ((20, 20, 0.2), (40, 30, 0.4), (10, 20, 0.2))  # groups, rows of each, intraclass correlation
GROUPED_ACCURACY = 0.8


def grouped_coverage(groups: int, rows: int, correlation: float, simulations: int, resamples: int) -> dict[str, float]:
    """Return the coverage of intervals of the accuracy of grouped rows: over groups, and as if rows were independent.

    Args:
        groups: Of each sample.
        rows: Of each group.
        correlation: Between two rows of a group: whether both are right.
        simulations: Samples.
        resamples: Of the bootstrap.
    """
    config, metric = EvaluationConfig(resamples=resamples, confidence=NOMINAL), classification.METRICS["accuracy"]
    clusters, references = np.repeat(np.arange(groups), rows), [1] * (groups * rows)
    weight = (1 - correlation) / correlation
    held = {"coverage": 0, "over_rows": 0}
    for seed in range(simulations):
        random = np.random.default_rng([groups, rows, seed])
        shares = random.beta(GROUPED_ACCURACY * weight, (1 - GROUPED_ACCURACY) * weight, groups)
        predictions = (random.random((groups, rows)) < shares[:, None]).ravel().astype(np.int64).tolist()
        for name, together in (("coverage", clusters), ("over_rows", None)):
            interval = figure_interval(metric, predictions, references, ["a", "b"], config, seed, together)
            held[name] += interval is not None and interval.low <= GROUPED_ACCURACY <= interval.high
    return {name: count / simulations for name, count in held.items()}


POPULATIONS: Mapping[str, Callable[[np.random.Generator, int], Sample]] = {
    **dict.fromkeys(multi_label.METRICS, several_classes),
    **dict.fromkeys(ordinal.METRICS, ordered_classes),
    **dict.fromkeys(regression.METRICS, numbers),
}
METRICS: Mapping[str, Metric | RankMetric] = {**multi_label.METRICS, **ordinal.METRICS, **regression.METRICS}


def labels_of(name: str) -> list[str]:
    """Return the names of the classes of a metric's population; none for numbers."""
    return [str(number) for number in range(len(SHARES))] if name not in regression.METRICS else []


def true_figure(name: str, rows: int = POPULATION) -> float:
    """Return the figure of a very large sample."""
    columns, references = POPULATIONS[name](np.random.default_rng(12345), rows)
    return value(name, columns, references)


def value(name: str, columns: Mapping[str, Any], references: Any) -> float:
    """Return the figure of a sample."""
    metric, predictions = METRICS[name], columns[column(METRICS[name])]
    if isinstance(metric, RankMetric):
        return float(metric.prepare(predictions, references, labels_of(name))(np.ones((1, len(references))))[0])
    return float(metric.aggregate(metric.statistics(predictions, references, labels_of(name)).sum(axis=0)))


def coverage(name: str, rows: int, simulations: int, resamples: int, truth: float) -> dict[str, float]:
    """Return the share of intervals that contain the truth, and of those that lie below or above it.

    Args:
        name: Of the metric.
        rows: Of each sample.
        simulations: Samples.
        resamples: Of the bootstrap.
        truth: The true figure.
    """
    config = EvaluationConfig(resamples=resamples, confidence=NOMINAL)
    below = above = 0
    widths = []
    for seed in range(simulations):
        columns, references = POPULATIONS[name](np.random.default_rng([rows, seed]), rows)
        predictions = columns[column(METRICS[name])]
        interval = figure_interval(METRICS[name], predictions, references, labels_of(name), config, seed)
        if interval is None:
            raise ValueError(f"{name} has no interval on a sample of {rows} rows")
        below += interval.high < truth
        above += interval.low > truth
        widths.append(interval.high - interval.low)
    return {
        "coverage": 1 - (below + above) / simulations,
        "below": below / simulations,
        "above": above / simulations,
        "width": float(np.mean(widths)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and record; fail where a coverage is outside the tolerated range."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=METRICS, default=list(METRICS))
    parser.add_argument("--rows", nargs="+", type=int, default=[200, 500])
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    sys.stdout.write("| metric | true figure | rows | coverage | below | above | width |\n")
    sys.stdout.write("| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
    for name in options.only:
        truth = true_figure(name)
        results[name] = {"truth": truth, "rows": {}}
        for rows in options.rows:
            start = time.process_time()
            result = coverage(name, rows, options.simulations, options.resamples, truth)
            results[name]["rows"][str(rows)] = {
                **result,
                "simulations": options.simulations,
                "resamples": options.resamples,
                "cpu_seconds": time.process_time() - start,
            }
            shares = " | ".join(f"{100 * result[key]:.1f} %" for key in ("coverage", "below", "above"))
            sys.stdout.write(f"| {name} | {truth:.4f} | {rows} | {shares} | {result['width']:.4f} |\n")
            sys.stdout.flush()
    sys.stdout.write("\n| groups | rows of each | intraclass correlation | coverage | over rows |\n")
    sys.stdout.write("| ---: | ---: | ---: | ---: | ---: |\n")
    grouped = []
    for groups, rows, correlation in GROUPED:
        found = grouped_coverage(groups, rows, correlation, options.simulations, options.resamples)
        grouped.append({"groups": groups, "rows": rows, "correlation": correlation, **found})
        shares = " | ".join(f"{100 * found[key]:.1f} %" for key in ("coverage", "over_rows"))
        sys.stdout.write(f"| {groups} | {rows} | {correlation} | {shares} |\n")
        sys.stdout.flush()
    output = options.output or RESULTS / "coverage-cpu.json"
    earlier = json.loads(output.read_text(encoding="utf-8"))["metrics"] if output.exists() else {}
    record = {
        "command": f"python -m benchmarks.coverage --simulations {options.simulations}",
        "date": datetime.now(UTC).date().isoformat(),
        **measure_machine(),
        "nominal": NOMINAL,
        "grouped": [{**found, "simulations": options.simulations} for found in grouped],
        "metrics": {name: results.get(name, earlier.get(name)) for name in METRICS if name in {*results, *earlier}},
    }
    write(record, output)
    low, high = TOLERATED
    shares_held = [r["coverage"] for m in results.values() for r in m["rows"].values()]
    return int(any(not low <= share <= high for share in [*shares_held, *(found["coverage"] for found in grouped)]))


if __name__ == "__main__":
    raise SystemExit(main())
