"""Thresholds are chosen on other rows, and reach their targets there."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.errors import ConfigError
from toolkit.evaluation import thresholds
from toolkit.evaluation.checks import operating_points

POINTS = ["sensitivity=0.9", "specificity=0.8"]


def probabilities(scores) -> list[list[float]]:
    return [[1 - score, score] for score in scores]


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60))
def test_thresholds_reach_targets_optimally(rows):
    scores, true = np.array([item for item, _ in rows]) / 20, np.array([two for _, two in rows])
    chosen = thresholds.choose(probabilities(scores), true.astype(int).tolist(), 1, POINTS)
    assert (chosen.positives, chosen.negatives) == (true.sum(), (~true).sum())
    if true.all() or not true.any():
        assert chosen.points == ()
        return
    results = {point.name: point.threshold for point in chosen.points}
    for point in chosen.points:
        assert point.sensitivity == pytest.approx((scores >= point.threshold)[true].mean())
        assert point.specificity == pytest.approx((scores < point.threshold)[~true].mean())
    assert thresholds.Thresholds.of(json.loads(json.dumps(chosen.as_dict()))) == chosen
    sensitivity = (scores >= results["sensitivity=0.9"])[true].mean()
    assert sensitivity >= 0.9 - 1e-9
    weakest = min((item for item in scores if item >= results["sensitivity=0.9"]), default=1.0)
    assert (scores > weakest)[true].mean() < 0.9
    specificity = (scores < results["specificity=0.8"])[~true].mean()
    assert specificity >= 0.8 - 1e-9
    lower = [item for item in set(scores) if item < results["specificity=0.8"]]
    assert all((scores < item)[~true].mean() < 0.8 for item in lower)
    best = max((scores >= item)[true].mean() + (scores < item)[~true].mean() for item in set(scores))
    balanced = results["balanced"]
    assert (scores >= balanced)[true].mean() + (scores < balanced)[~true].mean() == pytest.approx(best)


def test_threshold_is_halfway_between_scores():
    result = thresholds.choose(probabilities([0.1, 0.2, 0.9, 1.0]), [0, 0, 1, 1], 1, ["specificity=1"])
    assert [(point.name, point.threshold) for point in result.points] == [
        ("balanced", pytest.approx(0.55)), ("specificity=1", pytest.approx(0.55))
    ]  # fmt: skip


def test_figures_are_counted_on_the_test_rows():
    scores, true = [0.9, 0.8, 0.4, 0.6, 0.1, 0.2], [1, 1, 1, 0, 0, 0]
    points = (
        thresholds.OperatingPoint("sensitivity=0.9", 0.5, 1.0, 0.75),
        thresholds.OperatingPoint("specificity=1", 2.0, 0.0, 1.0),
    )
    chosen = thresholds.Thresholds(5, 4, points)
    result = operating_points.section(probabilities(scores), true, 1, ("well", "ill"), chosen, 0.95)
    assert (result["validation_positives"], result["validation_negatives"]) == (5, 4)
    assert (result["positive"], result["positives"], result["negatives"]) == ("ill", 3, 3)
    point, never = result["points"]
    for key in ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value"):
        assert point[key]["value"] == pytest.approx(2 / 3)
        assert point[key]["low"] < 2 / 3 < point[key]["high"]
    assert never["sensitivity"]["value"] == 0
    assert never["positive_predictive_value"]["value"] is None
    assert (point["target"], point["missed"], point["missed_on_validation"]) == (0.9, True, False)
    assert (never["target"], never["missed"], never["missed_on_validation"]) == (1.0, False, False)
    assert point["on_validation"]["specificity"]["value"] == 0.75
    assert point["on_validation"]["sensitivity"]["low"] < 0.9  # of five rows


def test_stored_thresholds_of_another_form_are_none():
    for stored in (None, {}, {"balanced": 0.5}, {"positives": 1, "negatives": 1, "points": [{"name": "x"}]}):
        assert thresholds.Thresholds.of(stored) is None


@pytest.mark.parametrize("point", ["sensitivity", "sensitivity=2", "recall=0.9", "sensitivity=-1"])
def test_other_points_are_refused(point):
    with refused(ConfigError, "config.malformed-value", "`evaluation.operating_points`", "sensitivity=0.95"):
        thresholds.parse([point])


def test_the_class_to_be_found_is_one_of_the_data():
    assert thresholds.class_number(None, ("a", "b")) is None
    assert thresholds.class_number("b", ("a", "b")) == 1
    with refused(ConfigError, "config.unknown-class", "`evaluation.positive_class`", "'c'", "a, b"):
        thresholds.class_number("c", ("a", "b"))


def test_rows_of_groups_widen_intervals_on_both_kinds_of_rows():
    random = np.random.default_rng(5)
    true = random.random(60) < 0.5
    scores = np.clip(random.normal(0.35 + 0.3 * true, 0.2), 0, 1)
    many, labels, groups = scores.repeat(5), true.repeat(5).astype(int).tolist(), np.arange(60).repeat(5)
    plain, grouped = (
        operating_points.section(
            probabilities(many),
            labels,
            1,
            ("a", "b"),
            thresholds.Thresholds.of(json.loads(json.dumps(chosen.as_dict()))),
            0.95,
            together,
        )
        for together in (None, groups)
        for chosen in [thresholds.choose(probabilities(many), labels, 1, POINTS, together)]
    )
    for narrow, wide in zip(plain["points"], grouped["points"], strict=True):
        for part in (lambda point: point["specificity"], lambda point: point["on_validation"]["sensitivity"]):
            assert part(narrow)["value"] == pytest.approx(part(wide)["value"])
            assert part(wide)["high"] - part(wide)["low"] > 1.5 * (part(narrow)["high"] - part(narrow)["low"])
