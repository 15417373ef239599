"""Rules that are decided from the reports of the two evaluations: what was not stored row by row.

The intervals of two reports are combined as if the models' figures were independent. They are of the same rows, so the
interval of the difference is wider than it need be.
"""

from collections.abc import Mapping
from typing import Any

from toolkit.config.gate import BiasRule, LatencyRule, RobustnessRule, SizeRule, SlicesRule
from toolkit.evaluation.gate.from_predictions import paired_slices, wanted
from toolkit.evaluation.gate.rule import Item, Loss, Pair, Rule
from toolkit.evaluation.statistics.claims.non_inferiority import of_separate, scaled, size_of
from toolkit.evaluation.statistics.intervals import Interval

_OF_CONTENT = ("length", "overlap", "class", "number of classes")  # groupings that stored predictions have


def slices(rule: SlicesRule, pair: Pair) -> Rule:
    """Return the rule on slices: paired where stored predictions have them, or else of the reports."""
    items = paired_slices(rule, pair)
    old, new = (_evaluation(report).get("slices") or {} for report in pair.reports)
    if all(_is_level(part.get("confidence")) for part in (old, new)):
        of_new = {(group["by"], group["name"]): group for group in new["groups"]}
        paired = pair.recipe.task.labelled is not None and not pair.recipe.task.labels_words
        for group in old["groups"]:
            by, name, other = group["by"], group["name"], of_new.get((group["by"], group["name"]))
            if other is None or (paired and by in _OF_CONTENT):
                continue
            if not _interval(group["accuracy"]) or not _interval(other["accuracy"]):
                continue
            rows = int(min(group["rows"] or 0, other["rows"] or 0))
            if wanted(rule, by, name, rows):
                levels = old["confidence"], new["confidence"]
                items.append(Item(f"{by}: {name}", _lost(group["accuracy"], other["accuracy"], *levels), rows))
    named = {item.name for item in items} | {item.name.partition(": ")[0] for item in items}
    missing = [name for name in rule.only if name not in named]
    reason = ""
    if missing:
        reason = f"Not in both models' reports, or too small: {', '.join(missing)}."
    elif not items:
        reason = f"There are no slices of {rule.smallest} rows or more."
    return Rule("slices", "Accuracy in slices", rule.margin, "fraction", () if reason else items, reason)


def _lost(old: Mapping[str, Any], new: Mapping[str, Any], of_old: float, of_new: float) -> Loss:
    """Return by how much a figure fell, from its interval in each report and their levels."""
    first, second = _interval(old), _interval(new)
    assert first is not None
    assert second is not None
    return lambda error: of_separate(scaled(first, of_old, error), scaled(second, of_new, error))


def robustness(rule: RobustnessRule, pair: Pair) -> Rule:
    """Return the rule on what changes of the inputs cost."""
    old, new = (_evaluation(report).get("robustness") or {} for report in pair.reports)
    unit, title = old.get("unit") or "fraction", "Robustness"
    changes = {change["name"]: change for change in new.get("invariance", ())}
    items = []
    for change in old.get("invariance", ()) if all(_is_level(part.get("confidence")) for part in (old, new)) else ():
        other = changes.get(change["name"])
        if other is None or old["metric"] != new["metric"]:
            continue
        if not _interval(change["difference"]) or not _interval(other["difference"]):
            continue
        levels = [1 - (1 - part["confidence"]) / len(part["invariance"]) for part in (old, new)]
        fall = _lost(change["difference"], other["difference"], *levels)
        if old["better"] == "lower":
            fall = _turned(fall)
        items.append(Item(change["title"], fall, int(min(change["changed"], other["changed"]))))
    return Rule("robustness", title, rule.margin, unit, items, "" if items else _not_in_both("robustness"))


def _turned(loss: Loss) -> Loss:
    def turned(error: float) -> Interval:
        interval = loss(error)
        return Interval(-interval.value, -interval.high, -interval.low)

    return turned


def bias(rule: BiasRule, pair: Pair) -> Rule:
    """Return the rule on gaps between groups of people: by how much each is larger, without its sign."""
    old, new = (_evaluation(report).get("bias") or {} for report in pair.reports)
    unit = {"probability": "fraction", "number": "value"}.get(old.get("measure") or "", "score")
    gaps = [_gaps(part) for part in (old, new)]
    same = bool(gaps[0]) and gaps[0].keys() == gaps[1].keys() and old.get("measure") == new.get("measure")
    items = [Item(name, _grown(*gap, *gaps[1][name])) for name, gap in gaps[0].items()] if same else []
    reason = "" if items else _not_in_both("bias")
    return Rule("bias", "Bias: gaps between groups of people", rule.margin, unit, items, reason)


Gap = tuple[Interval, float, float]  # with its level and degrees of freedom


def _gaps(section: Mapping[str, Any]) -> dict[str, Gap]:
    """Return the gaps that were tested, by what they are of."""
    found: dict[str, Gap] = {}
    for study in section.get("studies", ()):
        for gap in study["gaps"]:
            interval = _interval(gap["score"])
            if interval is not None and (study["degrees"] or 0) > 0 and _is_level(study["gap_confidence"]):
                of_class = f", {gap['label']}" if gap["label"] else ""
                name = f"{study['category']} ({study['source']}){of_class}: {gap['group']}"
                found[name] = interval, study["gap_confidence"], study["degrees"]
    return found


def _grown(old: Interval, of_old: float, degrees: float, new: Interval, of_new: float, degrees_of_new: float) -> Loss:
    def loss(error: float) -> Interval:
        before = size_of(scaled(old, of_old, error, degrees))
        return of_separate(size_of(scaled(new, of_new, error, degrees_of_new)), before)

    return loss


def latency(rule: LatencyRule, pair: Pair) -> Rule:
    """Return the rule on the median time of a forward pass, for the length at which it grew most."""
    title, reason = f"Median time, batches of {rule.batch_size}", ""
    old, new = (_evaluation(report).get("cost") or {} for report in pair.reports)
    times = [
        {t["length"]: t["p50_ms"] for t in cost.get("timings", ()) if t["batch_size"] == rule.batch_size}
        for cost in (old, new)
    ]
    both = [length for length, time in times[0].items() if time and times[1].get(length)]
    if not both:
        reason = _not_in_both("cost")
    elif any(old[key] != new[key] for key in ("device", "threads", "timed")):
        reason = "The models were timed on different devices, or with different numbers of threads."
    if reason:
        return Rule("latency", title, rule.ratio, "ratio", reason=reason, tested=False)
    items = [
        Item("" if length is None else f"{length:.0f} tokens", _exactly(times[1][length] / times[0][length]))
        for length in both
    ]
    return Rule("latency", title, rule.ratio, "ratio", items, tested=False)


def size(rule: SizeRule, pair: Pair) -> list[Rule]:
    """Return the rules on the size in memory, of which there may be two."""
    old, new = pair.bytes
    reason = "" if old and new else "The size of the models is not known; evaluate them again."
    ratio = [Item("", _exactly(new / old))] if old and new else []
    absolute = [Item("", _exactly(new))] if new else []
    bounds = ((rule.ratio, "ratio", ratio), ((rule.megabytes or 0) * 1e6 or None, "bytes", absolute))
    return [
        Rule("size", "Size in memory", margin, unit, items, reason, tested=False)
        for margin, unit, items in bounds
        if margin is not None
    ]


def _exactly(value: float) -> Loss:
    return lambda _error: Interval(value, value, value)


def _evaluation(report: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {} if report is None else report["evaluation"]


def _interval(figure: Mapping[str, Any]) -> Interval | None:
    ends = [figure[key] for key in ("value", "low", "high")]
    return None if None in ends else Interval(*ends)


def _is_level(confidence: float | None) -> bool:
    return confidence is not None and 0 < confidence < 1


def _not_in_both(check: str) -> str:
    return f"Not in the reports of both models; run `toolkit evaluate MODEL --checks {check}` for each."
