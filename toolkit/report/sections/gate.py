"""The gate of a release: the verdict of each rule."""

from collections.abc import Mapping
from typing import Any

from toolkit.report import formats
from toolkit.report.sections.blocks import Cell, Section, Table

_SHOWN = 10  # items of a rule that are listed


def gate(result: Mapping[str, Any]) -> list[Section]:
    """The rules with their verdicts, and the items of those that have several."""
    if not result["rules"]:
        return []
    several = [_items(rule) for rule in result["rules"] if len(rule["items"]) > 1]
    title = "Gate: passed" if result["passed"] else "Gate: not passed"
    return [Section("gate", title, explained(result), [rules(result), *several])]


def explained(result: Mapping[str, Any]) -> str:
    """Say how rules are decided, and at which levels."""
    lead = "“Worse by” is the loss of the second model against the first; a rule is passed if the whole interval is "
    lead += "at most the margin, and failed if it is beyond it. "
    if (
        result["error"] is None
        or result["error_of_rule"] is None
        or not any(rule["tested"] for rule in result["rules"])
    ):
        return lead
    lead += f"Any rule is decided wrongly with a probability of at most {_percent(result['error'])}"
    if (result["looks"] or 1) > 1:
        lead += f" in {formats.count(result['looks'])} comparisons on these rows together"
    lead += f": each tested rule at {_percent(result['error_of_rule'])} (Bonferroni). "
    if any(len(rule["items"]) > 1 and rule["tested"] for rule in result["rules"]):
        lead += "A rule with several figures passes by its worst one, and fails by any of them at an equal part of "
        lead += "that. "
    return lead + "Rows needed are those that decide with a probability of 80 % if the loss stays as it is."


def rules(result: Mapping[str, Any]) -> Table:
    """Return the table of rules; each row shows the figure that decides."""
    rows = []
    for rule in result["rules"]:
        first = rule["items"][0] if rule["items"] else None
        name = rule["title"] + (f": {first['name']}" if first is not None and first["name"] else "")
        others = f"worst of {len(rule['items'])}" if len(rule["items"]) > 1 else ""
        rows.append([Cell(name, others), *_figures(rule, first)])
    return Table("Rules", ["Rule", "Verdict", "Worse by", "Margin", "Rows", "Rows needed"], rows, frozenset({1}))


def _items(rule: Mapping[str, Any]) -> Table:
    rows = [[Cell(item["name"]), *_figures(rule, item)] for item in rule["items"][:_SHOWN]]
    more = f", the worst {_SHOWN} of {len(rule['items'])}" if len(rule["items"]) > _SHOWN else ""
    columns = ["Figure", "Verdict", "Worse by", "Margin", "Rows", "Rows needed"]
    return Table(f"{rule['title']}{more}", columns, rows, frozenset({1}))


def _figures(rule: Mapping[str, Any], item: Mapping[str, Any] | None) -> list[Cell]:
    unit = rule["unit"]
    if item is None:
        return [Cell(rule["verdict"], rule["reason"]), Cell("–"), Cell(_amount(rule["margin"], unit)), *[Cell("–")] * 2]
    ends = ""
    if rule["tested"]:
        ends = formats.interval(item["low"], item["high"], unit, signed=True)
    loss = _amount(item["value"], unit, signed=rule["tested"])
    return [
        Cell(item["verdict"]),
        Cell(loss, ends),
        Cell(_amount(rule["margin"], unit)),
        Cell(formats.count(item["rows"])),
        Cell(formats.count(item["rows_needed"])),
    ]


def _amount(value: float | None, unit: str, signed: bool = False) -> str:
    if value is None:
        return "–"
    if unit == "bytes":
        return formats.size(value)
    if unit == "ratio":
        return f"× {value:.3g}"
    text = formats.measure(value, unit, signed=True)
    return text if signed else text.lstrip("+")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
