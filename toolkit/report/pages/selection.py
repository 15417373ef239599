"""The answer of `select` in sentences, and as a page: the chosen rows, and the learning curve with its gains."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from toolkit.data.tables import wording
from toolkit.report.formats import estimate
from toolkit.report.pages.render import environment
from toolkit.report.plots.geometry import path

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760, 320, 56, 20, 30, 52
_STEPS = 60  # points of the drawn curve
_SHOWN = 200  # rows on the page


def to_html(answer: Mapping[str, Any], inputs: Sequence[str]) -> str:
    """One self-contained page without a script.

    Args:
        answer: What `select` returns.
        inputs: Columns of the inputs in its rows.
    """
    curve = answer["curve"]
    return (
        environment("html")
        .get_template("selection/selection.html.j2")
        .render(
            answer=answer,
            inputs=inputs,
            rows=answer["rows"][:_SHOWN],
            toolkit_version=answer["version"],
            sentences=chosen(answer),
            advice=advice(answer),
            gains=gains(curve) if curve else [],
            points=[(f"{p['rows']:,}", share(p["error"]), share(p["fitted"])) for p in curve["points"]]
            if curve
            else [],
            plot=plot(curve) if curve else "",
        )
    )


def chosen(answer: Mapping[str, Any]) -> list[str]:
    """Say how rows were chosen."""
    pool, counts = answer["pool"], answer["chosen"]
    total = wording.rows(sum(counts.values()))[0]
    of_each = ", ".join(f"{number:,} by {name}" for name, number in counts.items())
    sentences = [
        f"{total} chosen of {wording.rows(answer['candidates'])[0]} that can be chosen ({of_each}); the pool has "
        f"{wording.rows(pool['rows'])[0]}."
    ]
    if counts.get("random") and len(counts) > 1:
        sentences.append(
            "Only the random rows are a sample of the pool: estimate the model's quality there on them alone, and "
            "never on rows that were chosen by what the model says."
        )
    return sentences


def advice(answer: Mapping[str, Any]) -> list[str]:
    """Say what more labels are worth, and whether to stop."""
    curve = answer["curve"]
    if curve is None:
        return [f"No learning curve: {answer['curve_missing']}"]
    coming, level = curve["decisive"], f"{100 * curve['confidence']:.0f} %"
    what = {
        "stop": f"Stop: {coming['labels']:,} more labels reduce it by less than {points(curve['threshold'])}.",
        "go on": f"Go on: {coming['labels']:,} more labels reduce it by {points(curve['threshold'])} or more.",
        "undecided": f"Undecided: the gain of {coming['labels']:,} more labels may be below or above "
        f"{points(curve['threshold'])}.",
    }[curve["advice"]]
    return [
        f"A probe on frozen features has a predicted {curve['error']} of {_estimate(curve['now'], share)} with "
        f"{curve['labelled']:,} labels ({level} intervals). {what}",
        f"The advice rests on the interval of one gain, {_estimate(coming, points)}; the others below are descriptive.",
    ]


def gains(curve: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return labels, predicted gain and a remark for each gain."""
    return [
        (
            f"{gain['labels']:,}",
            _estimate(gain, points),
            "far beyond the measured sizes: a guess" if gain.get("far") else "",
        )
        for gain in sorted((curve["decisive"], *curve["gains"]), key=lambda gain: gain["labels"])
    ]


def share(value: float) -> str:
    """Return an error in per cent."""
    return f"{100 * value:.2f} %"


def points(value: float) -> str:
    """Return a difference of errors in points."""
    return f"{100 * value:.2f} points"


def _estimate(value: Mapping[str, float], shown: Callable[[float], str]) -> str:
    low, high = (shown(value[end]).rpartition(" ")[0] for end in ("low", "high"))
    return f"{shown(value['value'])} ({low} to {high})"


def plot(curve: Mapping[str, Any]) -> str:
    """Draw measured errors and the fitted law against the number of labels, on a logarithmic axis, as an SVG."""
    law, measured = curve["law"], curve["points"]
    first, last = measured[0]["rows"], 2 * max(curve["labelled"], measured[-1]["rows"])
    top: float = 1.1 * max(*(point["error"] for point in measured), *(point["fitted"] for point in measured), 1e-9)

    def across(rows: float) -> float:
        return round(_LEFT + math.log(rows / first) / math.log(last / first) * (_WIDTH - _LEFT - _RIGHT), 1)

    def down(error: float) -> float:
        return round(float(_HEIGHT - _BOTTOM - error / top * (_HEIGHT - _TOP - _BOTTOM)), 1)

    base, title = _HEIGHT - _BOTTOM, f"{escape(curve['error'])} against the number of labels"
    parts = [f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">']
    for step in range(5):
        error = top * step / 4
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(error)}" y2="{down(error)}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{down(error) + 4}" text-anchor="end">{100 * error:.1f} %</text>')
    for point in measured:
        x = across(point["rows"])
        parts.append(f'<text x="{x}" y="{base + 20}" text-anchor="middle">{point["rows"]:,}</text>')
        parts.append(f'<circle cx="{x}" cy="{down(point["error"])}" r="5"/>')
    now = across(curve["labelled"])
    parts.append(f'<line class="now" x1="{now}" x2="{now}" y1="{_TOP}" y2="{base}"/>')
    rows = [first * (last / first) ** (step / _STEPS) for step in range(_STEPS + 1)]
    line = [(across(n), down(law["a"] + law["b"] * n ** -law["c"])) for n in rows]
    parts.append(f'<path d="{path(line)}"/>')
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">labels (now: dashed)</text>'
    )
    return "\n".join([*parts, "</svg>"])


def joined(answer: Mapping[str, Any]) -> list[str]:
    """Say what labelled rows were joined with."""
    known = f", {answer['known']:,} that the run has already were not" if answer["known"] else ""
    sentences = [
        f"{answer['added']:,} labelled rows were added to {answer['train']:,} training rows{known}; validation and "
        "test rows are the same as before."
    ]
    pool = answer["pool"]
    if pool is not None and pool["metric"] is not None:
        metric = pool["metric"]
        sentences.append(
            f"On {pool['rows']:,} rows of the pool that were drawn at random, the model's {metric['title']} is "
            f"{estimate(metric, metric['unit'])}."
        )
    return [*sentences, f"Train again with: toolkit finetune {answer['recipe']} --data {answer['folder']}"]
