"""Several models, or one model with several seeds, side by side, as sections of blocks."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.plots import geometry
from toolkit.report.sections.blocks import (
    Block,
    Cell,
    Example,
    Examples,
    Forest,
    Scatter,
    Section,
    Table,
    estimated,
    place,
)


def comparison(result: Mapping[str, Any]) -> list[Section]:
    """Several models side by side: metrics, differences, agreement, and the rows with different predictions."""
    models = [model for model in result["models"] if model["name"]]
    if not models:
        return []
    return [*_side_by_side(models, result), *_differences(result), *_costs(result), *_parted(result)]


def _costs(result: Mapping[str, Any]) -> list[Section]:
    """Size against the first metric, and the Pareto front; nothing where all models have one size."""
    points = [point for point in result["costs"] if point["value"] is not None and point["bytes"] is not None]
    if len({point["bytes"] for point in points}) < 2:
        return []
    first = points[0]
    rows = [
        [
            Cell(point["name"]),
            Cell(formats.size(point["bytes"])),
            estimated(point, point["unit"]),
            Cell("yes" if point["front"] else "no"),
        ]
        for point in sorted(points, key=lambda point: point["bytes"])
    ]
    title = formats.metric_title({**first, "name": first["title"]})
    lead = "A model is on the Pareto front where no other is both as small and as good. "
    lead += "Exports are those that the runs hold: the figure of an export is that of its model plus the paired "
    lead += "difference that `toolkit export` measured. Differences may be due to chance: the intervals are above."
    scale = 100 if first["unit"] == "fraction" else 1
    drawn = geometry.scatter([(point["bytes"] / 1e6, scale * point["value"]) for point in points])
    blocks: list[Block] = [
        Scatter(f"{title} by size", drawn, "MB of weights", ""),
        Table("Size and quality", ["Model", "Weights", title, "On the Pareto front"], rows, frozenset({3})),
    ]
    return [Section("costs", "Quality against size", lead, blocks)]


def _side_by_side(models: list[dict[str, Any]], result: Mapping[str, Any]) -> list[Section]:
    metrics = {metric["name"]: metric for model in reversed(models) for metric in model["metrics"]}
    if not metrics:
        return []
    by_name = [{metric["name"]: metric for metric in model["metrics"]} for model in models]
    first = next(iter(models[0]["metrics"]), next(iter(metrics.values())))
    table = Table(
        "Metrics of each model",
        ["Metric", *(model["name"] for model in models)],
        [
            [Cell(formats.metric_title(metric)), *(estimated(figures.get(name), metric["unit"]) for figures in by_name)]
            for name, metric in metrics.items()
        ],
    )
    rows = [
        (model["name"], figures[first["name"]])
        for model, figures in zip(models, by_name, strict=True)
        if figures.get(first["name"], {"value": None})["value"] is not None
    ]
    plot = geometry.intervals([(m["value"], m["low"], m["high"]) for _, m in rows], first["unit"] == "fraction")
    level = f"{100 * result['confidence']:g} % intervals" if result["confidence"] else "intervals"
    caption = f"Dots are measured values, whiskers their {level}. Models whose whiskers overlap can still differ "
    caption += "significantly: they are evaluated on the same rows, and the differences below are paired."
    blocks = [Forest(formats.metric_title(first), rows, plot, caption=caption)] if plot is not None else []
    lead = (
        f"All models are evaluated on the same {formats.count(result['rows'])} examples."
        if result["rows"] is not None
        else ""
    )
    return [Section("side-by-side", "Metrics of each model", lead, [*blocks, table])]


def _differences(result: Mapping[str, Any]) -> list[Section]:
    pairs = [pair for pair in result["pairs"] if pair["one"]]
    if not pairs:
        return []
    metrics = {metric["name"]: metric for pair in reversed(pairs) for metric in pair["differences"]}
    tested = any(pair["p"] is not None for pair in pairs)
    rows = []
    for pair in pairs:
        by_name = {metric["name"]: metric for metric in pair["differences"]}
        cells = [
            estimated(by_name.get(name), metric["unit"], signed=True, alert=_unsure(by_name.get(name)))
            for name, metric in metrics.items()
        ]
        chance = [Cell(formats.p_value(pair["p"]))] if tested else []
        rows.append([Cell(f"{pair['one']} − {pair['other']}"), *cells, *chance])
    lead = "The first minus the second, paired on the same examples. "
    confidence = pairs[0]["confidence"]
    if confidence is not None and len(pairs) > 1:
        lead += (
            f"There are {len(pairs)} pairs, so each interval is at {100 * confidence:.4g} % for all of them to hold "
        )
        lead += "jointly, and the p-values are multiplied by their number. " if tested else "jointly. "
    if tested:
        lead += "The p-value is of the first metric: of accuracy by McNemar’s test (over groups: flipped signs), of "
        lead += "others by exchanging predictions at random. "
    if result["groups"] is not None:
        lead += f"The rows belong to {formats.count(result['groups'])} groups: all intervals resample groups."
    titles = [formats.metric_title(metric) for metric in metrics.values()]
    table = Table("Differences", ["Pair", *titles, *(["p-value"] if tested else [])], rows)
    if all(pair["agreement"] is None for pair in pairs):
        return [Section("differences", "Differences", lead, [table])]
    counted = any(pair["both_right"] is not None for pair in pairs)  # texts are not simply correct or wrong
    rights = ["Both correct", "Only the first", "Only the second", "Both wrong"] if counted else []
    keys = ("both_right", "only_one", "only_other", "both_wrong") if counted else ()
    counts = Table(
        "Agreement",
        ["Pair", "Same prediction", *rights],
        [
            [
                Cell(f"{pair['one']} and {pair['other']}"),
                Cell(formats.measure(pair["agreement"], "fraction")),
                *(Cell(formats.count(pair[key])) for key in keys),
            ]
            for pair in pairs
        ],
    )
    return [Section("differences", "Differences and agreement", lead, [table, counts])]


def _unsure(cell: Mapping[str, Any] | None) -> str:
    clear = cell is None or cell["low"] is None or cell["high"] is None or not cell["low"] <= 0 <= cell["high"]
    return "" if clear else "not significant"


def _parted(result: Mapping[str, Any]) -> list[Section]:
    rows = [
        Example(
            [formats.clip(row["text"])],
            truth=row["label"],
            remarks=[_answer(answer) for answer in row["answers"]],
            place=place(row["file"], row["row"]),
        )
        for row in result["disagreements"]
    ]
    if not rows:
        return []
    count = (
        f" They disagree on {formats.count(result['disagreeing'])} rows." if result["disagreeing"] is not None else ""
    )
    confident = any(answer["confidence"] is not None for row in result["disagreements"] for answer in row["answers"])
    first = ", highest confidence first" if confident else ""
    first = f", largest difference in {result['parted_by']} first" if result["parted_by"] else first
    lead = f"Rows for which the models give different predictions{first}.{count}"
    return [Section("disagreements", "Disagreements", lead, [Examples("Disagreements", rows)])]


def _answer(answer: Mapping[str, Any]) -> str:
    sure = answer["confidence"]
    return f"{answer['model']}: {answer['prediction']}" + (
        f" ({formats.measure(sure, 'fraction')})" if sure is not None else ""
    )


def seeds(result: Mapping[str, Any]) -> list[Section]:
    """One training with several seeds: each run, and their mean and spread."""
    runs = [run for run in result["runs"] if run["name"] and run["metrics"]]
    summary = [figure for figure in result["summary"] if figure["name"] and figure["value"] is not None]
    if not runs or not summary:
        return []
    first = summary[0]
    figures = [{metric["name"]: metric for metric in run["metrics"]} for run in runs]
    rows = [
        (run["name"], own[first["name"]])
        for run, own in zip(runs, figures, strict=True)
        if own.get(first["name"], {"value": None})["value"] is not None
    ]
    plot = geometry.intervals([(m["value"], m["low"], m["high"]) for _, m in rows], first["unit"] == "fraction")
    caption = "The whiskers show the uncertainty from the sample of rows; the dots differ only by the seed of training."
    blocks = [Forest(formats.metric_title(first), rows, plot, caption=caption)] if plot is not None else []
    table = Table(
        "Mean and spread",
        ["Metric", "Mean over seeds", "Standard deviation", "Lowest", "Highest"],
        [
            [
                Cell(formats.metric_title(figure)),
                estimated(figure, figure["unit"]),
                Cell(_spread(figure["deviation"], figure["unit"])),
                Cell(formats.measure(figure["lowest"], figure["unit"])),
                Cell(formats.measure(figure["highest"], figure["unit"])),
            ]
            for figure in summary
        ],
    )
    lead = f"{len(runs)} runs that differ only in their seed, evaluated on the same rows. The interval of a mean is "
    lead += "for other rows and other seeds together."
    if result["agreement"] is not None:
        lead += f" All runs agree on {formats.measure(result['agreement'], 'fraction')} of the examples."
    return [Section("seeds", "Variation between seeds", lead, [*blocks, table])]


def _spread(deviation: float | None, unit: str) -> str:
    if deviation is None:
        return "–"
    if unit == "value":
        return formats.number(deviation)
    return f"{100 * deviation:.2f} points" if unit == "fraction" else f"{deviation:.4f}"
