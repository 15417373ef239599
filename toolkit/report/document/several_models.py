"""Verdicts on several models: a comparison, and the same training with several seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.report.document.figures import bare, detectable, is_better, is_worse, shown, sizes, suffix, turned, upward


def comparison_verdict(comparison: Mapping[str, Any], gate: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Say which of several models is significantly better than the others, if any is, and whether it passes a gate."""
    statements = [] if gate is None else [gate_statement(gate)]
    statements += [
        statement for pair in comparison["pairs"] if (statement := _pair_statement(pair, comparison["rows"]))
    ]
    warnings = []
    if comparison["rows"] < 100:
        warnings.append(
            f"Only {comparison['rows']} examples: the intervals are wide, and small differences cannot be detected."
        )
    return {"headline": _leader(comparison), "statements": statements, "warnings": warnings}


def gate_statement(gate: Mapping[str, Any]) -> str:
    """Say whether a gate is passed, and by which rules it is not."""
    rules = gate["rules"]
    if gate["passed"]:
        return f"The gate is passed: all {len(rules)} rules." if len(rules) > 1 else "The gate is passed."
    open_rules = [f"{rule['title']}: {rule['verdict']}" for rule in rules if rule["verdict"] != "passed"]
    return f"The gate is not passed ({'; '.join(open_rules)})."


def seeds_verdict(section: Mapping[str, Any], baselines: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Summarise the results of several seeds, and with how many of them each baseline is beaten.

    Args:
        section: The section on seeds.
        baselines: Those of each run, in one order.
    """
    first, count = section["summary"][0], len(section["runs"])
    unit = first["unit"]
    after, figure = suffix(unit), shown(first["value"], unit)
    what = f"{'Accuracy' if first['name'] == 'accuracy' else first['title']} {figure}"
    ends = f"{bare(first['lowest'], unit)} to {bare(first['highest'], unit)}"
    spread = f"standard deviation {bare(first['deviation'], unit, extra=1)}{after}, {ends}"
    headline = f"{what} on average over {count} seeds ({spread}) on {section['rows']:,} {section['split']} examples."
    statements = []
    for several in zip(*baselines, strict=True):
        differences = [difference["difference"] for difference in several if difference.get("difference")]
        if differences:
            better, worse = sum(map(is_better, differences)), sum(map(is_worse, differences))
            mean = sum(difference["value"] for difference in differences) / len(differences)
            statements.append(
                f"Compared with {several[0]['title']}: significantly better with {better} of {count} seeds, "
                f"significantly worse with {worse}; mean difference {bare(mean, unit, signed=True)}{after}."
            )
    if section["agreement"] is not None:
        statements.append(
            f"All seeds give the same prediction for {shown(section['agreement'], 'fraction')} of the examples."
        )
    warnings = [] if count >= 5 else [f"{count} seeds are too few to estimate the spread well; use five or more."]
    return {"headline": headline, "statements": statements, "warnings": warnings}


def _leader(comparison: Mapping[str, Any]) -> str:
    """Name the model that is better than every other, by an interval that excludes zero."""
    rows = f"{comparison['rows']:,} {comparison['split']} examples"
    for model in comparison["models"]:
        ahead = [
            _lead(pair, model["name"]) for pair in comparison["pairs"] if model["name"] in (pair["one"], pair["other"])
        ]
        if all(ahead) and model["metrics"]:
            first = model["metrics"][0]
            value = shown(first["value"], first["unit"])
            figure = f"{'accuracy' if first['name'] == 'accuracy' else first['title']} {value}"
            return f"{model['name']} is the best: {figure} on {rows}."
    names = [model["name"] for model in comparison["models"]]
    if len(names) == 2:
        return f"{names[0]} and {names[1]} do not differ significantly on {rows}."
    return f"None of the {len(names)} models is significantly better than all the others on {rows}."


def _lead(pair: Mapping[str, Any], name: str) -> bool:
    """Whether the named model of a pair is better by the first metric."""
    if not pair["differences"]:
        return False
    first = pair["differences"][0]
    return is_better(first) if name == pair["one"] else is_worse(first)


def _pair_statement(pair: Mapping[str, Any], rows: float) -> str:
    if not pair["differences"]:
        return ""
    first = pair["differences"][0]
    if is_worse(first):  # from the side of the better one
        first = turned(first)
        pair = {**pair, "one": pair["other"], "other": pair["one"]}
    if pair["agreement"] == 1:
        return f"{pair['one']} and {pair['other']} give the same prediction for every example."
    better = is_better(first)
    size, signed, interval = sizes(upward(first) if better else first, first["unit"], pair["confidence"])
    agreement = ""
    if pair["agreement"] is not None:
        agreement = f"; they agree on {shown(pair['agreement'], 'fraction')} of the examples"
    if better:
        return f"{pair['one']} is better than {pair['other']} by {size} {interval}{agreement}."
    shows = detectable(first, first["unit"], pair["confidence"], rows)
    return f"{pair['one']} and {pair['other']} do not differ significantly: {signed} {interval}{agreement}.{shows}"
