"""A gate alarms rarely where there is nothing, and lets planted regressions pass as rarely."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.errors import refused
from tests.support.reports import sample
from toolkit.config.gate import Gate, default
from toolkit.config.settings import EvaluationConfig
from toolkit.errors import ConfigError
from toolkit.evaluation.compare import Aligned
from toolkit.evaluation.gate.decide import judge
from toolkit.evaluation.gate.rule import Pair
from toolkit.report.document.schema import REPORT, faults, fill
from toolkit.tasks import loading

RECIPE = loading.load("sentiment")
CLASSES = [f"c{number}" for number in range(10)]
ROWS, SHARE, SAME = 2000, 0.85, 0.9  # of rows, right ones, and those that both models find equally hard
CONFIG = EvaluationConfig(resamples=200)


def pair_of(truth: np.ndarray, right: np.ndarray, groups: np.ndarray | None = None, **facts: Any) -> Pair:
    """Two models that are right as `right` says, shape (2, N), with a confidence of 0.85."""
    columns = []
    for of_model in right:
        said = np.where(of_model, truth, (truth + 1) % 10)
        probabilities = np.full((len(truth), 10), 0.15 / 9)
        probabilities[np.arange(len(truth)), said] = 0.85
        columns.append({"prediction": said.tolist(), "probabilities": probabilities.tolist()})
    table = {"text": [("w " * (1 + row % 23)).strip() for row in range(len(truth))], "label": truth.tolist()}
    table |= {} if groups is None else {"_group": groups}
    aligned = Aligned(("old", "new"), pa.table(table), columns, CLASSES, RECIPE.task.target.kind)
    return Pair(aligned, truth.tolist(), RECIPE, CONFIG, 0, **facts)


def drawn(random: np.random.Generator, *, loss: float = 0, of_slice: float = 0, grouped: bool = False) -> Pair:
    """A pair of models with the same accuracy, but for what the second loses on all rows, or on 200 of them."""
    truth, groups = np.arange(ROWS) % 10, None
    if grouped:  # the rows of a group are hard or easy together, for each model in its own way
        groups, truth = np.arange(ROWS) // 20, random.permutation(truth)
        effects = random.standard_normal((2, ROWS // 20)).repeat(20, axis=1)
        right = np.sqrt(0.3) * effects + np.sqrt(0.7) * random.standard_normal((2, ROWS)) < 1.036
    else:
        common, base = random.random(ROWS) < SAME, random.random(ROWS) < SHARE
        right = np.stack([np.where(common, base, random.random(ROWS) < SHARE) for _ in range(2)])
    lost = np.where(truth == 3, loss + of_slice, loss) / SHARE
    right[1] &= random.random(ROWS) >= lost
    return pair_of(truth, right, groups)


def verdicts(gate: Gate, repeats: int, **planted: Any) -> dict[str, float]:
    """The share of pairs with a rule that failed, and of those that passed."""
    random = np.random.default_rng(5)
    results = [judge(gate, drawn(random, **planted)) for _ in range(repeats)]
    failed = [any(rule["verdict"] == "failed" for rule in result["rules"]) for result in results]
    return {"failed": float(np.mean(failed)), "passed": float(np.mean([result["passed"] for result in results]))}


def gate(**rules: Any) -> Gate:
    return Gate.model_validate(rules)


STRICT = gate(metrics={"margin": 0}, slices={"margin": 0}, calibration={"margin": 0})


@pytest.mark.parametrize(("grouped", "repeats"), [(False, 100), (True, 100)])
def test_equal_models_raise_few_alarms(grouped: bool, repeats: int) -> None:
    """With margins of 0, at which alarms are most frequent: at most 5 %, and two standard errors of the simulation."""
    bound = 0.05 + 2 * np.sqrt(0.05 * 0.95 / repeats)
    assert verdicts(STRICT, repeats, grouped=grouped)["failed"] <= bound


def test_model_at_the_margin_seldom_passes() -> None:
    bound = 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
    shares = verdicts(gate(metrics={"margin": 0.02}), 200, loss=0.02)
    assert shares["passed"] <= bound
    assert shares["failed"] <= bound


def test_two_points_less_on_2000_rows_are_caught() -> None:
    """Power: 95 % do not pass a margin of one point, and 90 % fail one of zero."""
    assert verdicts(gate(metrics={}, slices={}), 60, loss=0.02)["passed"] <= 0.05
    assert verdicts(gate(metrics={"margin": 0}), 60, loss=0.02)["failed"] >= 0.9


def test_slice_of_200_rows_15_points_worse_is_caught() -> None:
    """Power: 95 % do not pass the default margin of ten points, and 90 % fail one of zero, among 14 slices."""
    assert verdicts(gate(slices={}), 60, of_slice=0.15)["passed"] <= 0.05
    assert verdicts(gate(slices={"margin": 0}), 60, of_slice=0.15)["failed"] >= 0.9


def test_equal_models_pass_with_enough_rows() -> None:
    assert verdicts(gate(metrics={"margin": 0.02}, slices={}, calibration={}), 30)["passed"] >= 0.9


def test_error_is_divided_over_rules_and_looks() -> None:
    pair = drawn(np.random.default_rng(1))
    result = judge(gate(metrics={}, slices={}, latency={}, size={}, looks=5), pair)
    assert result["error_of_rule"] == pytest.approx(0.05 / 5 / 2)  # neither was measured, nor has it an error
    assert [rule["verdict"] for rule in result["rules"][2:]] == ["not measured"] * 2
    once, often = (judge(gate(metrics={}, looks=looks), pair)["rules"][0]["items"][0] for looks in (1, 100))
    assert often["high"] - often["low"] > 1.5 * (once["high"] - once["low"])


def test_few_rows_are_said_with_the_number_needed() -> None:
    random = np.random.default_rng(2)
    pair = pair_of(np.arange(200) % 10, np.stack([random.random(200) < 0.9] * 2))
    (rule,) = judge(gate(metrics={"margin": 0.005}), pair)["rules"]
    assert rule["verdict"] == "not enough rows"
    assert 400 < rule["items"][0]["rows_needed"] < 20_000
    (rule,) = judge(gate(slices={"only": ["class: c9"]}), pair)["rules"]
    assert [item["name"] for item in rule["items"]] == ["class: c9"]  # though it has 20 rows
    (rule,) = judge(gate(slices={"only": ["class: c9", "brand"]}), pair)["rules"]
    assert (rule["verdict"], "brand" in rule["reason"]) == ("not measured", True)


def test_metrics_of_other_kinds_are_judged() -> None:
    random = np.random.default_rng(3)
    right = np.stack([random.random(600) < 0.9, random.random(600) < 0.6])
    pair = pair_of(np.arange(600) % 10, right)
    names = [{"name": name} for name in ("f1", "matthews")]
    assert [rule["verdict"] for rule in judge(gate(metrics=names), pair)["rules"]] == ["failed"] * 2
    same = pair_of(np.arange(600) % 10, right[:1].repeat(2, axis=0))
    (rule,) = judge(gate(metrics={"name": "f1"}), same)["rules"]
    assert rule["items"][0]["low"] < 0 < rule["items"][0]["high"]
    with refused(ConfigError, "config.unknown-choice", "`accuracy`"):
        judge(gate(metrics={"name": "acuracy"}), pair)


def test_default_gate_leaves_out_what_numbers_do_not_have() -> None:
    """Of errors the lower one is better; the allowed loss is 2 % of the old model's."""
    random = np.random.default_rng(4)
    recipe, truth = loading.load("text", "number"), random.random(400) * 100
    near = truth + random.standard_normal(400)
    columns = [{"prediction": (truth + scale * (near - truth)).tolist()} for scale in (1.0, 1.5)]
    table = pa.table({"text": ["a text"] * 400, "label": truth})
    aligned = Aligned(("old", "new"), table, columns, [], recipe.task.target.kind)
    pair = Pair(aligned, truth.tolist(), recipe, CONFIG, 0, bytes=(4e8, 4e8))
    rules = judge(default(), pair, lenient=True)["rules"]
    assert [(rule["rule"], rule["verdict"]) for rule in rules] == [("metric", "failed"), ("size", "passed")]
    item = rules[0]["items"][0]
    assert rules[0]["margin"] == pytest.approx(0.02 * 2 * item["value"])
    assert "not measured" in {rule["verdict"] for rule in judge(default(), pair)["rules"]}


def with_reports(**changes: float) -> Pair:
    """A pair whose reports have all checks; those of the new model differ by `changes`."""
    old = sample()
    assert faults(REPORT, old) == []
    old["evaluation"]["rows"] = 200
    random = np.random.default_rng(0)
    for study in old["evaluation"]["bias"]["studies"]:
        scores = random.normal(0, 0.1, (5, 1)) + random.normal(0, 0.02, (5, 2)) + [0.4, 0.0]
        study |= {"groups": ["Hindu", "Muslim"], "means": [{"terms": [*range(5)], "scores": scores.tolist()}]}
    new = json.loads(json.dumps(old))
    for timing in new["evaluation"]["cost"]["timings"]:
        timing["rounds_ms"] = [changes.get("time", 1) * time for time in timing["rounds_ms"]]
    for change in new["evaluation"]["robustness"]["invariance"]:
        ends = change.get("difference") or {}
        change["difference"] = {key: end - changes.get("fall", 0) for key, end in ends.items()}
    for study in new["evaluation"]["bias"]["studies"]:
        study["means"][0]["scores"] = [
            [first + changes.get("gap", 0), other] for first, other in study["means"][0]["scores"]
        ]
    right = np.ones((2, 200), bool)
    sizes = [4e8, 4e8 * changes.get("size", 1)]
    return pair_of(np.arange(200) % 10, right, reports=[fill(REPORT, part) for part in (old, new)], bytes=sizes)


FROM_REPORTS = gate(
    bias={"margin": 0.3}, robustness={"margin": 0.3}, latency={"batch_size": 8}, size={"ratio": 1.1, "megabytes": 450}
)


def test_rules_are_judged_by_the_reports() -> None:
    same = judge(FROM_REPORTS, with_reports())
    assert same["passed"], [(rule["title"], rule["verdict"], rule["reason"]) for rule in same["rules"]]
    worse = judge(FROM_REPORTS, with_reports(time=1.3, fall=0.9, gap=1.5, size=1.2))
    assert [rule["verdict"] for rule in worse["rules"]] == ["failed"] * 5
    assert worse["rules"][-1]["items"][0]["value"] == pytest.approx(4.8e8)


def test_what_no_report_has_is_not_passed() -> None:
    pair = pair_of(np.arange(200) % 10, np.ones((2, 200), bool))
    result = judge(FROM_REPORTS, pair)
    assert ({rule["verdict"] for rule in result["rules"]}, result["passed"]) == ({"not measured"}, False)
    assert all(rule["reason"] for rule in result["rules"])


def test_slices_of_columns_come_from_the_reports() -> None:
    def report(accuracy: float) -> dict[str, Any]:
        interval = {"value": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05}
        group = {"by": "brand", "name": "x", "rows": 250, "accuracy": interval, "p": 1.0}
        return fill(REPORT, {"evaluation": {"rows": 200, "slices": {"confidence": 0.95, "groups": [group]}}})

    reports = [report(0.9), report(0.6)]
    pair = pair_of(np.arange(200) % 10, np.ones((2, 200), bool), reports=reports)
    (rule,) = judge(gate(slices={"only": ["brand"]}), pair)["rules"]
    assert (rule["verdict"], rule["items"][0]["name"]) == ("failed", "brand: x")


def times(random: np.random.Generator, factor: float = 1.0) -> dict[str, Any]:
    """Draw medians of five rounds, slow and fast together by 3 %, for three lengths."""
    rounds = 20 * factor * np.exp(random.normal(0, 0.03, (3, 5)))
    timings = [
        {"batch_size": 1, "length": length, "passes": 30, "p50_ms": 20.0, "rounds_ms": of_length.tolist()}
        for length, of_length in zip((8, 32, 128), rounds, strict=True)
    ]
    return fill(REPORT, {"evaluation": {"rows": 200, "cost": {"device": "cpu", "threads": 2, "timings": timings}}})


def timed(ratio: float, factor: float, repeats: int) -> list[str]:
    """The verdicts on models of which the new one takes `factor` times as long."""
    random, rule = np.random.default_rng(7), gate(latency={"ratio": ratio})
    reports = [(times(random), times(random, factor)) for _ in range(repeats)]
    right = np.ones((2, 200), bool)
    pairs = [pair_of(np.arange(200) % 10, right, reports=both) for both in reports]
    return [judge(rule, pair)["rules"][0]["verdict"] for pair in pairs]


def test_latency_is_decided_by_repeated_timings() -> None:
    bound = 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean([verdict == "failed" for verdict in timed(1.0, 1.0, 200)]) <= bound
    assert np.mean([verdict == "passed" for verdict in timed(1.2, 1.2, 200)]) <= bound
    assert np.mean([verdict == "passed" for verdict in timed(1.2, 1.0, 50)]) >= 0.95
    assert np.mean([verdict == "failed" for verdict in timed(1.2, 1.5, 50)]) >= 0.95
    single = [times(np.random.default_rng(1)) for _ in range(2)]
    for report in single:
        for timing in report["evaluation"]["cost"]["timings"]:
            timing["rounds_ms"] = timing["rounds_ms"][:1]
    pair = pair_of(np.arange(200) % 10, np.ones((2, 200), bool), reports=single)
    assert judge(gate(latency={}), pair)["rules"][0]["verdict"] == "not measured"


def biased(random: np.random.Generator, gap: float = 0.0) -> list[dict[str, Any]]:
    """Two models whose terms are scored nearly alike; the second has a larger gap between two of three groups."""
    terms = random.normal(0, 0.1, (6, 3))
    scores = [terms + random.normal(0, 0.01, (6, 3)) for _ in range(2)]
    scores[1][:, 0] += gap
    reports = []
    for of_model in scores:
        means = [{"label": None, "terms": [*range(6)], "scores": of_model.tolist()}]
        study = {"category": "names", "source": "sentences", "groups": ["a", "b", "c"], "means": means}
        bias = {"measure": "score", "studies": [study]}
        reports.append(fill(REPORT, {"evaluation": {"rows": 200, "bias": bias}}))
    return reports


def test_bias_is_decided_in_pairs_of_terms() -> None:
    """The gaps of each model alone vary by more than the margin; the differences of the same terms do not."""

    def verdicts_of(margin: float, gap: float, repeats: int) -> list[str]:
        random, right = np.random.default_rng(9), np.ones((2, 200), bool)
        pairs = [pair_of(np.arange(200) % 10, right, reports=biased(random, gap)) for _ in range(repeats)]
        return [judge(gate(bias={"margin": margin}), pair)["rules"][0]["verdict"] for pair in pairs]

    bound = 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
    assert np.mean([verdict == "failed" for verdict in verdicts_of(0.0, 0.0, 200)]) <= bound
    assert np.mean([verdict == "passed" for verdict in verdicts_of(0.05, 0.0, 50)]) >= 0.9
    assert "passed" not in verdicts_of(0.05, 0.3, 50)
    assert verdicts_of(0.05, 0.6, 50).count("failed") >= 45
