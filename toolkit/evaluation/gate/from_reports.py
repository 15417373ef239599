"""Rules that are decided from the reports of the two evaluations: what was not stored row by row.

The intervals of two reports are combined as if the models' figures were independent. They are of the same rows, so the
interval of the difference is wider than it need be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.config.gate import BiasRule, LatencyRule, RobustnessRule, SizeRule, SlicesRule
from toolkit.evaluation.gate.from_predictions import paired_slices, wanted
from toolkit.evaluation.gate.rule import Item, Loss, Pair, Rule
from toolkit.evaluation.statistics import latency as times
from toolkit.evaluation.statistics.claims.non_inferiority import of_separate, scaled
from toolkit.evaluation.statistics.intervals import Interval
from toolkit.evaluation.statistics.term_gaps import degrees, growth, of_means

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
    studies = [_studies(part) for part in (old, new)] if old.get("measure") == new.get("measure") else [{}, {}]
    items = [item for name, before in studies[0].items() for item in _grown(name, before, studies[1].get(name))]
    reason = "" if items else _not_in_both("bias")
    return Rule("bias", "Bias: gaps between groups of people", rule.margin, unit, items, reason)


@dataclass(frozen=True)
class _Study:
    """Mean scores of terms that stand for groups of people.

    Attributes:
        groups: Names of the groups.
        terms: Number of each term.
        scores: Shape (terms, groups).
    """

    groups: Sequence[str]
    terms: Sequence[float]
    scores: Sequence[Sequence[float]]


def _studies(section: Mapping[str, Any]) -> dict[str, _Study]:
    """Return the studies whose gaps can be tested, by what they are of."""
    found: dict[str, _Study] = {}
    for study in section.get("studies", ()):
        for means in study["means"]:
            sizes = {len(scores) for scores in means["scores"]}
            whole = sizes == {len(study["groups"])} and len(means["scores"]) == len(means["terms"])
            known = whole and all(isinstance(value, int | float) for scores in means["scores"] for value in scores)
            if known and degrees(len(means["terms"]), len(study["groups"])) > 0:
                of_class = f", {means['label']}" if means["label"] else ""
                name = f"{study['category']} ({study['source']}){of_class}"
                found[name] = _Study(study["groups"], means["terms"], means["scores"])
    return found


def _grown(name: str, old: _Study, new: _Study | None) -> list[Item]:
    """Return by how much the gap of each group grew, paired by terms; nothing where these are not the same."""
    if new is None or (list(new.groups), list(new.terms)) != (list(old.groups), list(old.terms)):
        return []
    before, after = (np.array(study.scores, np.float64) for study in (old, new))
    was, change = of_means(before), of_means(after - before)
    compared = 1 if len(old.groups) == 2 else len(old.groups)  # of two the second is the first, turned round

    def loss(group: int) -> Loss:
        return lambda error: growth(was, change, group, error)

    return [Item(f"{name}: {group}", loss(number)) for number, group in enumerate(old.groups[:compared])]


def latency(rule: LatencyRule, pair: Pair) -> Rule:
    """Return the rule on the median time of a forward pass, for each length."""
    title, reason = f"Median time, batches of {rule.batch_size}", ""
    old, new = (_evaluation(report).get("cost") or {} for report in pair.reports)
    timed = [
        {t["length"]: t["rounds_ms"] for t in cost.get("timings", ()) if t["batch_size"] == rule.batch_size}
        for cost in (old, new)
    ]
    both = [length for length, rounds in timed[0].items() if _timed(rounds) and _timed(timed[1].get(length))]
    if not both:
        reason = _not_in_both("cost")
    elif any(old[key] != new[key] for key in ("device", "threads", "timed")):
        reason = "The models were timed on different devices, or with different numbers of threads."
    if reason:
        return Rule("latency", title, rule.ratio, "ratio", reason=reason)
    items = [
        Item("" if length is None else f"{length:.0f} tokens", _slower(timed[1][length], timed[0][length]))
        for length in both
    ]
    return Rule("latency", title, rule.ratio, "ratio", items)


def _timed(rounds: Sequence[float | None] | None) -> bool:
    """Whether there are two rounds of times, or more."""
    return rounds is not None and len(rounds) > 1 and all(time is not None and time > 0 for time in rounds)


def _slower(new: Sequence[float], old: Sequence[float]) -> Loss:
    return lambda error: times.ratio(new, old, error)


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
