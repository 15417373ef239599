"""The verdict of each rule, with one error for all of them.

Of K rules with uncertainty each may be decided wrongly with a probability of error / (looks · K) (Bonferroni), whatever
their figures depend on. A rule fails where one of its S items is beyond the margin, each tested at a part S of that; it
passes where each of them is shown to be within the margin, which needs no further correction: one of them would have
to be shown wrongly (Berger 1982, "Multiparameter Hypothesis Testing and Acceptance Sampling").
"""

from typing import Any

from toolkit.config.gate import Gate
from toolkit.evaluation.gate import from_predictions, from_reports
from toolkit.evaluation.gate.rule import Item, Pair, Rule
from toolkit.evaluation.statistics.claims.non_inferiority import rows_needed
from toolkit.evaluation.statistics.intervals import Interval

PASSED, FAILED, FEW_ROWS, NOT_MEASURED = "passed", "failed", "not enough rows", "not measured"
_ORDER = (FAILED, FEW_ROWS, PASSED)


def judge(gate: Gate, pair: Pair, *, lenient: bool = False) -> dict[str, Any]:
    """Return the report's section on a gate.

    Args:
        gate: The rules.
        pair: The models.
        lenient: Whether rules are left out that no model of the task can be measured by, as those of the default gate.
    """
    rules = _rules(gate, pair)
    if lenient:
        labelled, single = pair.recipe.task.labelled is not None, pair.recipe.task.stratum is not None
        applies = {"slices": labelled, "calibration": single}
        rules = [rule for rule in rules if applies.get(rule.key, True)]
    tested = sum(rule.tested and bool(rule.items) for rule in rules)
    error = gate.error / gate.looks / max(1, tested)
    decided = [_decided(rule, error) for rule in rules]
    return {
        "passed": all(rule["verdict"] == PASSED for rule in decided),
        "error": gate.error,
        "looks": gate.looks,
        "error_of_rule": error,
        "rules": decided,
    }


def _rules(gate: Gate, pair: Pair) -> list[Rule]:
    rules = [from_predictions.metric(rule, pair) for rule in gate.metrics]
    rules += [from_reports.slices(rule, pair) for rule in gate.slices]
    rules += [] if gate.bias is None else [from_reports.bias(gate.bias, pair)]
    rules += [] if gate.robustness is None else [from_reports.robustness(gate.robustness, pair)]
    rules += [] if gate.calibration is None else [from_predictions.calibration(gate.calibration, pair)]
    rules += [] if gate.latency is None else [from_reports.latency(gate.latency, pair)]
    return rules + ([] if gate.size is None else from_reports.size(gate.size, pair))


def _decided(rule: Rule, error: float) -> dict[str, Any]:
    """Return a rule with its verdict, the items that decide it first."""
    items = [_of_item(item, rule.margin, error, error / len(rule.items)) for item in rule.items]
    items.sort(key=lambda item: (_ORDER.index(item["verdict"]), -item["high"]))
    return {
        "rule": rule.key,
        "title": rule.title,
        "verdict": items[0]["verdict"] if items else NOT_MEASURED,
        "margin": rule.margin,
        "unit": rule.unit,
        "tested": rule.tested,
        "reason": rule.reason or None,
        "items": items,
    }


def _of_item(item: Item, margin: float, error: float, error_of_failure: float) -> dict[str, Any]:
    upper = item.loss(error)
    lower = upper if error == error_of_failure else item.loss(error_of_failure)
    interval = Interval(upper.value, lower.low, upper.high)
    verdict, needed = FEW_ROWS, None
    if interval.high <= margin:
        verdict = PASSED
    elif interval.low > margin:
        verdict = FAILED
    elif item.rows is not None:
        value = interval.value
        arm, of_end = (interval.high - value, error) if value < margin else (value - interval.low, error_of_failure)
        needed = rows_needed(item.rows, arm, abs(margin - value), of_end)
    return {
        "name": item.name,
        "verdict": verdict,
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "rows": item.rows,
        "rows_needed": needed,
    }
