"""The page on the batches that a run was compared with: one of them, and the course over all."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from toolkit.report import formats
from toolkit.report.document.schema import fill
from toolkit.report.pages.render import environment
from toolkit.report.plots.geometry import nice_ticks, path, place, tick_text
from toolkit.report.sections import shift as section
from toolkit.report.shapes import SHIFT

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760, 220, 64, 14, 130, 40
_CLASSES = 4  # that are drawn: those whose predicted shares change most
_STYLES = ("own", "other", "faint", "dotted")
_SHOWN = 100  # latest batches
_LABELS = 12  # of batches below the axis
_LINE = 15  # pixels from one name to the next

_COUNT = {"rows": float, "of": float}
_RECORD = {
    **dict.fromkeys(("created", "source", "fingerprint"), str),
    **dict.fromkeys(("rows_read", "seed", "period", "look", "looks", "level"), float),
    "claimed": bool,
    "unreadable": {"new": _COUNT, "reference": _COUNT, "level": float, "p": float, "claimed": bool},
    "shift": SHIFT,
}
_SIDES = ("new", "reference")
Series = tuple[str, Sequence[Mapping[str, Any]]]  # name, and for each batch value, low and high


def to_html(page: Mapping[str, Any]) -> str:
    """One self-contained page without a script.

    Args:
        page: "records" of all batches, the one that is "shown" with examples, "model", "command" and "version".
    """
    everything = list(enumerate((fill(_RECORD, record) for record in page["records"]), 1))
    numbers, records = map(list, zip(*everything[-_SHOWN:], strict=True))
    shown = fill(_RECORD, page["shown"])
    return (
        environment("html")
        .get_template("drift/drift.html.j2")
        .render(
            model=str(page["model"]),
            command=str(page["command"]),
            toolkit_version=page["version"],
            created=shown["created"],
            batch=_place(page),
            headline=headline(shown),
            statements=[*section.meaning(shown["shift"]), *sampled(shown), *unreadable(shown), series_rule(shown)],
            plots=[(title, plot(title, lines, list(map(str, numbers)))) for title, lines in courses(records)],
            columns=("Batch", "Rows", "Area", "p", "Level", "Verdict", "Estimated share right"),
            rows=[row(number, record) for number, record in zip(numbers, records, strict=True)][::-1],
            omitted=len(page["records"]) - len(records),
            section=section.shift(shown["shift"])[0],
        )
    )


def to_text(record: Mapping[str, Any]) -> str:
    """Return the outcome of a batch for a terminal."""
    full = fill(_RECORD, record)
    result = full["shift"]
    lines = [headline(full), *section.meaning(result), *sampled(full), *unreadable(full)]
    differing = [f"{row['word']} ({_rates(row)})" for row in result["words"] if row["claimed"]]
    lines += [f"Words: {', '.join(differing)}."] if differing else []
    moved = [row for row in result["properties"] if row["claimed"]]
    named = (f"{row['name']} ({_values(row)})" for row in moved)
    lines += [f"Properties: {', '.join(named)}."] if moved else []
    estimate = result["accuracy"]["estimate"]
    if estimate["value"] is not None:
        known = formats.estimate(result["accuracy"]["reference"], "fraction")
        lines.append(
            f"Estimated share of {result['accuracy']['title']}: {formats.estimate(estimate, 'fraction')}; on held-out "
            f"rows {known}. The estimate misses mistakes that the model is sure of"
            + ("; these rows differ, so label some of them before you rely on it." if result["claimed"] else ".")
        )
    return "\n".join([*lines, series_rule(full)])


def headline(record: Mapping[str, Any]) -> str:
    """Say whether the rows differ, and whether more than usual cannot be predicted."""
    lost, differs = record["unreadable"]["claimed"], record["shift"]["claimed"]
    if not lost:
        return section.headline(record["shift"])
    readable = "differ from" if differs else "are not shown to differ from"
    return (
        "More rows of the batch than of the run's data cannot be predicted; the others "
        f"{readable} the held-out rows of the run."
    )


def sampled(record: Mapping[str, Any]) -> list[str]:
    """Say how many rows were compared, where that is not all."""
    read, taken = record["rows_read"] or 0, record["unreadable"]["new"]["of"] or 0
    if read <= taken:
        return []
    return [
        f"Of {formats.count(read)} rows of the file a random sample of {formats.count(taken)} was read "
        f"(seed {record['seed']:.0f})."
    ]


def unreadable(record: Mapping[str, Any]) -> list[str]:
    """Say how many rows cannot be predicted beside those of the run, and what was tested, where there are any."""
    lost = record["unreadable"]
    if not lost["new"]["rows"]:
        return []
    new, reference = (f"{formats.count(lost[side]['rows'])} of {formats.count(lost[side]['of'])}" for side in _SIDES)
    tested = (
        "not tested, since rows belong to groups"
        if lost["p"] is None
        else f"Fisher's exact test, p = {section.exact(lost['p'])}, tested at {section.level(lost['level'])}"
    )
    return [f"{new} rows cannot be predicted and were left out; {reference} rows of the run's data were ({tested})."]


def series_rule(record: Mapping[str, Any]) -> str:
    """Say how many looks share the probability of a false alarm."""
    looks, own = record["looks"] or 1, record["level"] or 0
    return (
        f"Look {record['look']:.0f} of period {record['period']:.0f}: each of {looks:.0f} batches is tested at "
        f"{section.level(own)}, so that any false alarm in a period has a probability of at most "
        f"{section.level(own * looks)} (Bonferroni): a tenth of it on rows that cannot be predicted, the rest on the "
        "others."
    )


def row(number: int, record: Mapping[str, Any]) -> list[str]:
    """Return the cells of one batch."""
    result = record["shift"]
    return [
        f"{number}: {record['source']}, {record['created'][:10]}",
        formats.count(result["rows"]),
        formats.estimate(result["domain"], "score"),
        section.exact(result["domain"]["p"]),
        section.level(result["level"]),
        ", ".join(
            word
            for word, claimed in (("differs", result["claimed"]), ("unreadable", record["unreadable"]["claimed"]))
            if claimed
        )
        or "–",
        formats.estimate(result["accuracy"]["estimate"], "fraction"),
    ]


def _place(page: Mapping[str, Any]) -> str:
    """Return the number of the batch that is shown, and whether it is the latest."""
    records = page["records"]
    number = next(
        (place for place, row in enumerate(records, 1) if row["fingerprint"] == page["shown"]["fingerprint"]),
        len(records),
    )
    return f"Batch {number}, the latest" if number == len(records) else f"Batch {number} of {len(records)}, seen again"


def courses(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Series]]]:
    """Return the plots: a title, and lines with a value for each batch, of which some may be missing."""
    results = [record["shift"] for record in records]
    plots: list[tuple[str, list[Series]]] = [
        ("Area under the curve of the best classifier", [("area", [result["domain"] for result in results])])
    ]
    for title, key in (("Mean confidence", "confidence"), ("Estimated share right, without labels", "estimate")):
        cells = [result["accuracy"][key] for result in results]
        if any(cell["value"] is not None for cell in cells):
            plots.append((title, [("estimate" if key == "estimate" else "mean", cells)]))
    predicted = [{line["label"]: line["new"] for line in result["predicted"]} for result in results]
    held_out = {line["label"]: float(line["reference"]["value"] or 0) for line in results[-1]["predicted"]}
    nothing = {"value": None, "low": None, "high": None}

    def moved(label: str) -> float:
        return max(abs(float(batch.get(label, nothing)["value"] or 0) - held_out[label]) for batch in predicted)

    chosen = sorted(held_out, key=moved, reverse=True)[:_CLASSES]
    lines: list[Series] = [(label, [batch.get(label, nothing) for batch in predicted]) for label in chosen]
    return [*plots, ("Predicted classes" if list(held_out) != ["mean"] else "Mean of the predictions", lines)]


def plot(title: str, lines: Sequence[Series], names: Sequence[str]) -> str:
    """Draw values with their intervals over the batches, as an SVG."""
    ends = [cell[key] for _, cells in lines for cell in cells for key in ("value", "low", "high")]
    known = [end for end in ends if end is not None]
    if not known:
        return ""
    axis = nice_ticks(min(known), max(known))
    base, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT

    def across(batch: int, line: int = 0) -> float:
        middle = _LEFT + (batch + 0.5) / len(names) * (right - _LEFT)
        return round(middle + 3 * (line - (len(lines) - 1) / 2), 1)

    def down(value: float) -> float:
        return round(base - place(value, axis[0], axis[-1]) / 100 * (base - _TOP), 1)

    parts = [f'<svg class="course" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick in axis:
        y = down(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        text = tick_text(tick, axis[1] - axis[0], percent=False)
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{text}</text>')
    step = max(1, -(-len(names) // _LABELS))
    parts += [
        f'<text x="{across(batch)}" y="{base + 18}" text-anchor="middle">{escape(names[batch])}</text>'
        for batch in range(0, len(names), step)
    ]
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">batch</text>')
    labels: list[tuple[float, str, str]] = []
    for number, ((label, cells), style) in enumerate(zip(lines, _STYLES, strict=False)):
        there = [(across(batch, number), cell) for batch, cell in enumerate(cells) if cell["value"] is not None]
        if not there:
            continue
        parts.append(f'<path class="{style}" d="{path([(x, down(cell["value"])) for x, cell in there])}"/>')
        for x, cell in there:
            if cell["low"] is not None and cell["high"] is not None:
                low, high = down(cell["low"]), down(cell["high"])
                parts.append(f'<line class="whisker {style}" x1="{x}" x2="{x}" y1="{high}" y2="{low}"/>')
            parts.append(f'<circle class="{style}" cx="{x}" cy="{down(cell["value"])}" r="3"/>')
        labels.append((down(there[-1][1]["value"]) + 4, label, style))
    lowest = 0.0
    for y, label, style in sorted(labels):  # lines may end where others do, their names may not
        lowest = max(y, lowest + _LINE)
        shown = escape(label if len(label) <= 18 else f"{label[:17]}…")
        parts.append(f'<text class="{style}" x="{right + 8}" y="{lowest:g}">{shown}</text>')
    return "\n".join([*parts, "</svg>"])


def _rates(row: Mapping[str, Any]) -> str:
    return f"{formats.measure(row['reference'], 'fraction')} → {formats.measure(row['new'], 'fraction')}"


def _values(row: Mapping[str, Any]) -> str:
    return f"{formats.measure(row['reference'], 'value')} → {formats.measure(row['new'], 'value')}"
