"""The page on pruned heads: quality and cost as more of them are pruned."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from toolkit.report.pages.render import environment
from toolkit.report.plots.geometry import path

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760, 360, 56, 20, 90, 52
_LINE = 15  # pixels from one name to the next


def to_html(pruning: Mapping[str, Any]) -> str:
    """One self-contained page without a script.

    Args:
        pruning: What pruning.json holds.
    """
    curve, name = pruning["curve"], pruning["metric"]
    most = max((value for row in pruning["importance"] for value in row), default=1.0) or 1.0
    pruned = {int(layer): set(listed) for layer, listed in pruning["pruned_heads"].items()}
    return (
        environment("html")
        .get_template("attention/pruning.html.j2")
        .render(
            pruning=pruning,
            toolkit_version=pruning["version"],
            headline=headline(pruning),
            plot=plot(curve, name),
            rows=[row(point, curve[0], name) for point in curve],
            importance=[
                [(f"{v:.2f}", f"{v / most:.2f}", head in pruned.get(layer, ())) for head, v in enumerate(line)]
                for layer, line in enumerate(pruning["importance"])
            ],
        )
    )


def headline(pruning: Mapping[str, Any]) -> str:
    """Summarize in a sentence how many heads were pruned, with the loss and the savings."""
    first, chosen, name = pruning["curve"][0], pruning["curve"][pruning["chosen"]], pruning["metric"]
    total = sum(map(len, pruning["importance"]))
    saved = 1 - chosen["flops"] / first["flops"]
    last = pruning["chosen"] == len(pruning["curve"]) - 1
    short = last and (pruning["share"] or 0) * total >= chosen["left_out"] + 1
    why = " (each layer keeps at least one)" if short else ""
    cost = f"{name} on validation rows {_number(first[name])} → {_number(chosen[name])}"
    return f"{chosen['left_out']} of {total} heads are pruned{why}: {cost}, {100 * saved:.0f} % fewer operations."


def row(point: Mapping[str, Any], first: Mapping[str, Any], name: str) -> list[str]:
    """Return the cells of one point of the curve."""
    return [
        f"{point['left_out']} ({100 * point['share']:.0f} %)",
        _number(point[name]),
        f"{point['loss']:.4f}" if point["loss"] is not None else "–",
        f"{100 * point['flops'] / first['flops']:.0f} %",
        f"{1000 * point['seconds']:.2f} ms",
        f"{100 * point['time']:.0f} % ({100 * point['time_low']:.0f} to {100 * point['time_high']:.0f} %)",
        f"{point['parameters']:,}",
    ]


COLUMNS = ("heads pruned", "", "loss", "operations", "time per example", "relative time", "parameters")


def _number(value: float) -> str:
    return f"{value:.4f}"


def relative(curve: Sequence[Mapping[str, Any]], name: str) -> list[tuple[str, list[float]]]:
    """Return the curves against the share of pruned heads: the metric, then relative operations and time."""
    flops = [point["flops"] / curve[0]["flops"] for point in curve]
    return [
        (name, [point[name] for point in curve]),
        ("operations", flops),
        ("time", [point["time"] for point in curve]),
    ]


def plot(curve: Sequence[Mapping[str, Any]], name: str) -> str:
    """Draw metric, operations and time against the share of pruned heads, as an SVG."""

    def across(share: float) -> float:
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    lines = relative(curve, name)
    top: float = max(1.0, *(value for _, values in lines for value in values))

    def down(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - max(float(value), 0.0) / top * (_HEIGHT - _TOP - _BOTTOM), 1)

    base = _HEIGHT - _BOTTOM
    title = f"{escape(name)}, operations and time against the share of pruned heads"
    parts = [f'<svg class="pruning" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">']
    for step in range(5):
        y, x = down(step / 4), across(step / 4)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{25 * step} %</text>')
        parts.append(f'<text x="{x}" y="{base + 20}" text-anchor="middle">{25 * step} %</text>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">heads pruned</text>'
    )
    ends: list[tuple[float, str, str]] = []
    for (label, values), style in zip(lines, ("own", "other", "faint"), strict=True):
        points = [(across(point["share"]), down(value)) for point, value in zip(curve, values, strict=True)]
        parts.append(f'<path class="{style}" d="{path(points)}"/>')
        ends.append((points[-1][1] + 4, label, style))
    lowest = 0.0
    for y, label, style in sorted(ends):  # from the top; lines may end where others do, their names may not
        lowest = max(y, lowest + _LINE)
        x = across(curve[-1]["share"]) + 8
        parts.append(f'<text class="{style}" x="{x:g}" y="{lowest:g}">{escape(label)}</text>')
    return "\n".join([*parts, "</svg>"])
