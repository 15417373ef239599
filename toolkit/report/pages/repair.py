"""The page on which a person decides about doubtful training rows, and the sentences about them."""

from collections.abc import Mapping, Sequence
from typing import Any

import toolkit
from toolkit.data import corrections
from toolkit.evaluation.statistics.label_noise import LARGEST
from toolkit.report import formats
from toolkit.report.pages.render import environment
from toolkit.report.plots import attention_maps

MOST = 2000  # rows on a page; the file has all of them
_CHOICES = 60  # classes that are offered as a list

TEST_LABELS = (
    "The test labels were not corrected and may be as noisy as the training labels were: agreement with a wrong test "
    "label counts as right, so the gain may be larger or smaller than shown."
)

_REASONS = {
    "label": "label contradicts the model",
    "near-duplicate": "near-duplicate with another label",
    "outlier": "far from all other rows",
}


def headline(summary: Mapping[str, Any]) -> str:
    """Return what was found in one sentence.

    Args:
        summary: As `doubts.json` has it.
    """
    noise, rows = summary["noise"], summary["rows"]
    if noise is None:
        return f"{summary['doubts']:,} of {rows:,} training rows to look at"
    expected = noise["expected"]
    if not noise["low"]:
        return f"Between none and {expected['high']:,.0f} of {rows:,} training labels are wrong"
    return (
        f"About {expected['value']:,.0f} of {rows:,} training labels are wrong "
        f"({expected['low']:,.0f} to {expected['high']:,.0f})"
    )


def statements(summary: Mapping[str, Any]) -> list[str]:
    """Return what is claimed and what is not, a sentence each."""
    noise, counts = summary["noise"], summary["reasons"]
    listed = "; ".join(f"{_REASONS[reason]} {count:,}" for reason, count in counts.items())
    lines = [f"Doubtful rows: {summary['doubts']:,} ({listed}). A row may have several reasons."]
    if noise is not None:
        ends = f"{_percent(noise['low'])} to {_percent(noise['high'])}"
        none = " Possibly none is wrong, and the order is a ranking." if not noise["low"] else ""
        if noise["high"] >= LARGEST:
            none += f" Shares above {_percent(LARGEST)} were not tried: these rows do not say how many are wrong."
        lines.append(
            f"Estimated share of wrong labels: {_percent(noise['rate'])}, 95 % interval {ends}, from predictions of "
            f"models that were not trained on the row (profile likelihood).{none}"
        )
        precision = noise["precision"]
        if precision is not None and noise["low"]:
            lines.append(
                f"Of the {counts['label']:,} doubted labels about {_percent(precision['value'])} are expected to be "
                f"wrong ({_percent(precision['low'])} to {_percent(precision['high'])}); the first ones most probably."
            )
    else:
        lines.append("The order is a ranking without a claim about how many labels are wrong.")
    lines.append("Near-duplicates with different labels and outliers are rankings, not claims: any may be right.")
    if not summary["searched"]:
        lines.append("Near-duplicates were not searched for.")
    agreement = summary.get("annotators")
    if agreement is not None:
        lines += _agreement(agreement)
    return lines


def _agreement(agreement: Mapping[str, Any]) -> list[str]:
    alpha = agreement["alpha"]
    first = (
        f"Agreement of annotators: too few rows have labels of several ({agreement['column']})."
        if alpha is None
        else f"Agreement of annotators ({agreement['column']}): Krippendorff’s alpha {alpha['value']:.3f}, "
        f"{100 * agreement['confidence']:g} % interval {alpha['low']:.3f} to {alpha['high']:.3f}, "
        f"{alpha['items']:,} rows, resampled whole."
    )
    shown = [row for row in agreement["annotators"] if row["value"] is not None][:10]
    if not shown:
        return [first]
    each = "; ".join(
        f"{row['name']} {_percent(row['value'])} ({_percent(row['low'])} to {_percent(row['high'])})" for row in shown
    )
    return [first, f"Agreement with the majority of the others, the lowest first, intervals for all together: {each}."]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def gain_to_text(gain: Mapping[str, Any]) -> str:
    """Return the gain of corrections as sentences for a terminal.

    Args:
        gain: As of `Repaired`.
    """
    unit, better = gain["unit"], {"value": gain["value"], "low": gain["low"], "high": gain["high"]}
    before, after = ({"value": gain[key], "low": None, "high": None} for key in ("before", "after"))
    verdict = "improvement" if gain["low"] > 0 else "loss" if gain["high"] < 0 else "no significant difference"
    p = "" if gain["p"] is None else f", p {formats.p_value(gain['p'])}"
    figure = formats.estimate(better, unit, signed=True)
    lines = [
        f"Gain in {gain['title']} on the same {gain['rows']:,} test rows: {figure}{p}; {verdict}",
        f"  before {formats.estimate(before, unit)}, after {formats.estimate(after, unit)}; positive is better, "
        f"{100 * gain['confidence']:g} % interval of the paired difference",
        f"  training rows: {gain['relabelled']:,} relabelled, {gain['dropped']:,} left out; validation and test rows "
        "are unchanged",
        f"  {TEST_LABELS}",
    ]
    return "\n".join(lines)


def to_text(summary: Mapping[str, Any]) -> str:
    """Return the summary for a terminal."""
    return "\n".join([headline(summary), *(f"  {line}" for line in statements(summary))])


def to_html(
    summary: Mapping[str, Any],
    rows: Sequence[Mapping[str, str]],
    columns: Sequence[str],
    choices: Sequence[str],
    pictures: Sequence[str | None],
) -> str:
    """One self-contained page; its one script is named by its hash in the page's policy.

    Args:
        summary: As `doubts.json` has it.
        rows: The lines of `doubts.csv`.
        columns: Their columns; the last two are filled in on the page.
        choices: Names of the classes, where a row has one.
        pictures: Small pictures of the first rows, as data addresses.
    """
    before = columns[:-2]
    shown = [
        {
            **{name: row[name] for name in before if name != "reason"},
            "reasons": [_REASONS[reason] for reason in row["reason"].split(", ")],
            "picture": picture,
            "csv": corrections.written([row], before, head=False).removesuffix("\r\n"),
        }
        for row, picture in zip(rows[:MOST], pictures, strict=False)
    ]
    data = {"key": f"{summary['run']} {summary['fingerprint']}", "head": ",".join(columns), "rows": shown}
    return (
        environment("html")
        .get_template("repair/repair.html.j2")
        .render(
            run=summary["run"],
            headline=headline(summary),
            statements=statements(summary),
            data=data,
            hidden=max(0, len(rows) - MOST),
            choices=list(choices) if len(choices) <= _CHOICES else [],
            toolkit_version=toolkit.__version__,
            **attention_maps.script("repair/repair.js"),
        )
    )
