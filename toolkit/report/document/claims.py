"""The claims of a report: sentences that are made only where a test rejects chance, and how many were tested.

Each sentence gives the interval whose level is that of its test (`evaluation.statistics.claims.error_budget`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report.document.figures import bounds, detectable, is_better, is_worse, shown, sizes, turned, upward


def statements(evaluation: Mapping[str, Any], baselines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the claims on one model, and where a baseline is neither better nor worse what these rows can show."""
    figures = {metric["name"]: metric for metric in evaluation["metrics"]}
    first = evaluation["metrics"][0]
    against = [
        compared(baseline["title"], difference, evaluation, figures.get(difference.get("metric"), first))
        for baseline in baselines
        if (difference := baseline.get("difference"))
    ]
    own = (_shifted, _one_sided, _weak_quarter, _miscalibrated, _weak_groups, _fragile, _unfaithful, _biased, _unfair)
    return against + [sentence for claimed in own for sentence in claimed(evaluation)]


def tested(evaluation: Mapping[str, Any], baselines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how many hypotheses were tested for the claims of each kind, and the error that they share.

    Args:
        evaluation: With "claims_confidence": kind → confidence, of the kinds that were planned.
        baselines: The report's.
    """
    levels: Mapping[str, float] = evaluation.get("claims_confidence") or {}

    def part(name: str) -> Mapping[str, Any]:
        return evaluation.get(name) or {}

    calibration, residuals = part("calibration"), part("residuals")
    counts = {
        "baselines": sum(baseline.get("difference") is not None for baseline in baselines),
        "slices": part("slices").get("looked_at", 0),
        "calibration": len(calibration.get("classes") or ()) or 2 * bool(calibration),  # whether, and how
        "centre": sum(1 for found in (residuals.get("mean"), part("distance").get("signed")) if found),
        "quarters": len(residuals.get("quarters") or ()),
        "writing": len(part("writing").get("checks") or ()),
        "shift": sum(1 for found in (part("shift").get("domain"), part("shift").get("metric")) if found),
        "robustness": sum(bool(change.get("difference")) for change in part("robustness").get("invariance") or ()),
        "bias": part("bias").get("claims", 0),
        "fairness": len(part("fairness").get("gaps") or ()),
    }
    kinds = [{"kind": kind, "tested": counts[kind], "error": 1 - level} for kind, level in levels.items()]
    error = sum(1 - level for level in levels.values())
    return {"tested": sum(row["tested"] for row in kinds), "error": error, "kinds": kinds} if kinds else {}


def summary(found: Mapping[str, Any]) -> list[str]:
    """Say how many claims were tested, and how likely any of those that are made is false."""
    if not found.get("tested"):
        return []
    return [
        f"Tested for this report: {found['tested']:,} claims. The probability that chance makes the report claim any "
        f"that is false is at most {100 * found['error']:.3g} %."
    ]


def compared(name: str, difference: Mapping[str, Any], evaluation: Mapping[str, Any], figure: Mapping[str, Any]) -> str:
    """Describe a paired difference; where its interval contains zero it is not significant."""
    subject = name[0].lower() + name[1:] if name[1:2].islower() else name
    level = difference.get("confidence") or evaluation["confidence"]
    _, signed, interval = sizes(difference, figure["unit"], level)
    size, _, above_zero = sizes(upward(difference), figure["unit"], level)
    if is_better(difference):
        return f"Better than {subject} by {size} {above_zero}."
    if is_worse(difference):
        return f"Worse than {subject} by {size} {above_zero}."
    shows = detectable(difference, figure["unit"], level, evaluation["rows"])
    return f"No significant difference from {subject}: {signed} {interval}.{shows}"


def _shifted(evaluation: Mapping[str, Any]) -> list[str]:
    """Say that the rows differ from the run's held-out rows, and that the first metric does."""
    found = evaluation.get("shift") or {}
    metric = found.get("metric") or {}
    sentences = []
    if found.get("claimed"):
        area = found["domain"]
        sentences.append(
            "The rows differ from the held-out rows of the run: a classifier between them has an area under the curve "
            f"of {area['value']:.3f} ({area['low']:.3f} to {area['high']:.3f})."
        )
    if metric.get("claimed"):
        difference = metric["difference"]
        _, size, interval = sizes(difference, metric["unit"], metric["confidence"])
        sentences.append(f"{metric['title']} differs from that on the run's test rows: {size} {interval}.")
    return sentences


def _one_sided(evaluation: Mapping[str, Any]) -> list[str]:
    """Say that ordered classes, or numbers, are predicted too low or too high, where chance does not explain it."""
    distance, residuals = evaluation.get("distance") or {}, evaluation.get("residuals") or {}
    centre = residuals.get("mean") or distance.get("signed") or {}
    if centre.get("low") is None or centre["low"] <= 0 <= centre["high"]:
        return []
    unit = "value" if residuals else "score"
    level = residuals.get("mean_confidence") or distance.get("signed_confidence") or evaluation["confidence"]
    size, _, interval = sizes(upward(centre), unit, level)
    side = "high" if centre["value"] > 0 else "low"
    return [f"Predictions are too {side} on average, by {size}{'' if residuals else ' classes'} {interval}."]


def _weak_quarter(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the quarter of the true values in which errors are largest, where they are significantly larger."""
    residuals = evaluation.get("residuals") or {}
    worse = [row for row in residuals.get("quarters") or () if row["worse"]]
    if not worse:
        return []
    row = max(worse, key=lambda row: row["difference"]["value"])
    error, other = row["error"]["value"], row["error"]["value"] - row["difference"]["value"]
    ends = f"{shown(row['low'], 'value')} to {shown(row['high'], 'value')}"
    level = residuals.get("quarters_confidence") or evaluation["confidence"]
    _, _, interval = sizes(row["difference"], "value", level)
    return [
        f"Less accurate for true values from {ends}: mean absolute error {shown(error, 'value')} on {row['rows']:,} "
        f"examples, {shown(other, 'value')} on the others; the difference is "
        f"{shown(row['difference']['value'], 'value')} {interval}."
    ]


def _miscalibrated(evaluation: Mapping[str, Any]) -> list[str]:
    """Say that the model is miscalibrated where chance does not explain it, and in which direction if that is clear."""
    calibration = evaluation.get("calibration")
    if calibration and calibration.get("classes"):
        return _miscalibrated_classes(calibration)
    if not calibration or calibration["p"] >= 1 - _level(calibration):
        return []
    ordered = (evaluation.get("distance") or {}).get("classes")  # then the median is predicted
    right = "accuracy of the most probable class" if ordered else "accuracy"
    means = f"mean confidence {shown(calibration['mean_confidence'], 'fraction')}, "
    means += f"{right} {shown(calibration['accuracy'], 'fraction')}, "
    error = shown(calibration["ece"]["value"], "fraction")
    gap = calibration.get("gap") or {}
    if gap and not gap["low"] <= 0 <= gap["high"]:
        kind = "Overconfident" if gap["value"] > 0 else "Underconfident"
        size, _, interval = sizes(upward(gap), "fraction", _level(calibration))
        means += f"a difference of {size} {interval}; calibration error {error}"
    else:
        kind = "Miscalibrated"
        means += f"calibration error {error}; a calibrated model shows as much with p = {calibration['p']:.2g}"
    mended = ""
    if calibration.get("scaled") and calibration["scaled"]["ece"]["value"] < calibration["ece"]["value"] - 0.005:
        mended = (
            f" The stored temperature {calibration['temperature']:.2f} reduces the error to "
            f"{shown(calibration['scaled']['ece']['value'], 'fraction')}."
        )
    return [f"{kind}: {means}.{mended}"]


def _level(section: Mapping[str, Any]) -> float:
    """Return the confidence of the claims of a section."""
    return float(section.get("claims_confidence") or section["confidence"])


def _miscalibrated_classes(calibration: Mapping[str, Any]) -> list[str]:
    """Say how many classes are miscalibrated, and which one most, where chance does not explain it."""
    rows = calibration["classes"]
    clear = [row for row in rows if row["p"] < 1 - _level(calibration)]
    if not clear:
        return []
    worst = max(clear, key=lambda row: row["ece"]["value"])
    return [
        f"Miscalibrated: {len(clear):,} of {len(rows):,} classes, most of all “{worst['label']}”: mean probability "
        f"{shown(worst['mean_probability'], 'fraction')}, {shown(worst['share'], 'fraction')} of the rows have it, "
        f"calibration error {shown(worst['ece']['value'], 'fraction')}."
    ]


def _weak_groups(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the class and the other group of rows that are most clearly worse than all."""
    slices = evaluation.get("slices") or {}
    worst = slices.get("worst") or []
    classes, others = ([group for group in worst if (group["by"] == "class") is of_class] for of_class in (True, False))
    unit, figure = slices.get("unit") or "examples", (slices.get("figure") or "Accuracy").lower()
    return [
        f"Weaker on {_group_name(group, slices)}: {figure} {shown(group['accuracy']['value'], 'fraction')} on "
        f"{group['rows']:,} {unit}{bounds({**group['accuracy'], 'unit': 'fraction'}, {'confidence': level})}, "
        f"{shown(slices['accuracy'], 'fraction')} on all."
        for group in (*classes[:1], *others[:1])
        for level in (slices.get("worst_confidence") or slices["confidence"],)
    ]


def _group_name(group: Mapping[str, Any], slices: Mapping[str, Any]) -> str:
    if group["by"] == "class":
        return f"{'type' if slices.get('unit') else 'class'} “{group['name']}”"
    if group["by"] == "word":
        return f"texts with the word “{group['name']}”"
    if group["by"] == "number of classes":
        return f"rows with {group['name']} classes" if group["name"] != "1" else "rows with one class"
    return f"texts of {group['name']}" if group["by"] == "length" else f"{group['by']} “{group['name']}”"


def _fragile(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the perturbation that lowers accuracy most, where the loss is significant."""
    robustness = evaluation.get("robustness") or {}
    tested = [change for change in robustness.get("invariance") or [] if change.get("difference")]
    lower, metric = robustness.get("better") == "lower", robustness.get("metric") or "accuracy"
    losses = [(change["difference"] if lower else turned(change["difference"]), change) for change in tested]
    costly = [(loss, change) for loss, change in losses if loss["low"] > 0]
    if not costly:
        return []
    loss, worst = max(costly, key=lambda pair: pair[0]["value"])
    level = robustness.get("difference_confidence") or robustness["confidence"]
    size, _, interval = sizes(loss, robustness.get("unit") or "fraction", level)
    effect = f"increases the {metric[:1].lower()}{metric[1:]}" if lower else f"lowers {metric}"
    return [f"Not robust: “{worst['title']}” {effect} by {size} {interval}."]


def _unfaithful(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the faults that generated texts have significantly more often than the references."""
    writing = evaluation.get("writing") or {}
    clear = [check for check in writing.get("checks") or () if check["tried"] and check["clear"]]
    return [
        f"{check['title']}: {shown(check['failed']['value'], 'fraction')} of {check['tried']:,} translations"
        f"{bounds({**check['failed'], 'unit': 'fraction'}, {'confidence': level})}, "
        f"{shown(check['references_failed'] or 0.0, 'fraction')} of the references."
        for check in clear
        for level in (writing.get("failed_confidence") or writing["confidence"],)
    ]


def _biased(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the largest significant gap between groups of people, for each kind of swap."""
    bias = evaluation.get("bias") or {}
    statements = []
    for category in dict.fromkeys(study["category"] for study in bias.get("studies") or ()):
        studies = [study for study in bias["studies"] if study["category"] == category]
        clear = [(gap, study["gap_confidence"]) for study in studies for gap in study["gaps"] if gap["clear"]]
        if clear:
            gap, level = max(clear, key=lambda pair: abs(pair[0]["score"]["value"]))
            up, measure = gap["score"]["value"] > 0, bias.get("measure") or "score"
            unit = {"probability": "fraction", "number": "value"}.get(measure, "score")
            size, _, interval = sizes(gap["score"] if up else turned(gap["score"]), unit, level)
            kind = {
                "score": f"the same texts are scored {'more positive' if up else 'more negative'}",
                "probability": f"the probability of “{gap.get('label')}” for the same texts is "
                f"{'higher' if up else 'lower'}",
                "number": f"the number for the same texts is {'higher' if up else 'lower'}",
            }[measure]
            scale = " on a scale from -1 to 1" if measure == "score" else ""
            statements.append(
                f"Depends on {category}: {kind} with “{gap['group']}” than with “{gap['versus']}”, by "
                f"{size}{scale} {interval}."
            )
    return statements


def _unfair(evaluation: Mapping[str, Any]) -> list[str]:
    """Name the metrics in which groups of people differ more than chance explains."""
    fairness = evaluation.get("fairness") or {}
    clear = [gap for gap in fairness.get("gaps") or () if gap["p"] < 1 - _level(fairness)]
    names = {"accuracy": "accuracy", "selection_rate": "how often the second class is predicted"}
    return [
        f"Differs by {fairness['column']} in {names.get(gap['figure'], gap['figure'].replace('_', ' '))}: "
        f"{100 * gap['value']:.1f} points between the highest and the lowest group "
        f"({100 * fairness['gaps_confidence']:.4g} % interval {100 * gap['low']:.1f} to {100 * gap['high']:.1f}, "
        f"p = {gap['p']:.2g})."
        for gap in clear
    ]
