"""Unequal groups are found, equal ones are not, and the metrics are correct."""

import builtins

import numpy as np
import pytest

from tests.support.errors import refused
from toolkit.errors import ConfigError
from toolkit.evaluation.checks import fairness
from toolkit.report.document.schema import REPORT, faults

LABELS = ("no", "yes")


def study(groups, said, true, labels=LABELS, seed=0):
    result = fairness.section("dialect", groups, said, true, labels, confidence=0.95, seed=seed)
    assert faults(REPORT["evaluation"]["fairness"], result) == []
    return result, {gap["figure"]: gap for gap in result["gaps"]}


def drawn(seed, bias=0.0, size=300):
    random = np.random.default_rng([9, seed])
    groups = random.choice(["a", "b", "c"], size)
    true = random.integers(0, 2, size)
    wrong = random.random(size) < 0.1
    output = np.where(wrong, 1 - true, true)
    output = np.where((groups == "a") & (random.random(size) < bias), 0, output)
    return groups.tolist(), output.tolist(), true.tolist()


def test_figures_counted_by_hand():
    groups = ["a"] * 20 + ["b"] * 40 + [None] * 5 + ["rare"] * 3
    output = [1] * 10 + [0] * 10 + [1] * 10 + [0] * 30 + [1] * 8
    true = [1] * 20 + [1] * 20 + [0] * 20 + [0] * 8
    result, gaps = study(groups, output, true)
    first, other = result["groups"]
    assert (first["name"], first["rows"], first["accuracy"]["value"]) == ("a", 20, 0.5)
    assert (other["name"], other["rows"], other["accuracy"]["value"]) == ("b", 40, 0.75)
    assert first["rates"]["selection_rate"] == 0.5
    assert other["rates"]["true_positive_rate"] == 0.5
    assert gaps["accuracy"]["value"] == pytest.approx(0.25)
    assert gaps["selection_rate"]["value"] == pytest.approx(0.25)
    assert result["left_out"] == ["rare"]


def test_a_group_that_is_denied_the_second_class_is_found():
    _, gaps = study(*drawn(0, bias=0.5))
    assert gaps["selection_rate"]["p"] < 0.05
    assert gaps["true_positive_rate"]["p"] < 0.05


def test_random_groups_are_rarely_significant(monkeypatch):
    monkeypatch.setattr(fairness, "SHUFFLES", 200)
    alarms = [any(gap["p"] < 0.05 for gap in study(*drawn(seed), seed=seed)[1].values()) for seed in range(60)]
    assert np.mean(alarms) <= 0.12  # 0.05 and more than twice the error of 60 draws


def test_of_many_classes_only_accuracy_is_compared():
    _, gaps = study(["a"] * 30 + ["b"] * 30, [0, 1, 2] * 20, [0, 1, 1] * 20, ("x", "y", "z"))
    assert set(gaps) == {"accuracy"}
    result, gaps = study(["a"] * 30 + ["b"] * 3, [0] * 33, [0] * 33)
    assert (result["groups"], gaps) == ([], {})


def test_missing_fairlearn_names_the_package(monkeypatch):
    result = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("fairlearn"):
            raise ImportError(name)
        return result(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with refused(ConfigError, "machine.package-missing") as caught:
        study(*drawn(0))
    assert "finetune-toolkit[fairness]" in caught.value.fix


def test_intervals_of_gaps_exclude_zero_where_the_claim_is_made(monkeypatch):
    monkeypatch.setattr(fairness, "SHUFFLES", 500)
    claimed, intervals = [], []
    for seed in range(12):
        for bias in (0.0, 0.15, 0.5):
            _, gaps = study(*drawn(seed, bias), seed=seed)
            claimed += [gap["p"] < 0.05 for gap in gaps.values()]
            intervals += [gap["low"] > 0 for gap in gaps.values()]
            assert all(gap["low"] <= gap["value"] <= gap["high"] <= 1 for gap in gaps.values())
    assert claimed == intervals
    assert 0.2 < np.mean(claimed) < 0.8


def test_intervals_of_gaps_hold_jointly_at_the_level_of_the_claims(monkeypatch):
    """The true gaps of the simulated model: a share of 0.3 of group a is denied the second class."""
    monkeypatch.setattr(fairness, "SHUFFLES", 500)
    true = {"accuracy": 0.3 * (0.9 - 0.1) / 2, "selection_rate": 0.15, "true_positive_rate": 0.27}
    held = []
    for seed in range(100):
        result = fairness.section("dialect", *drawn(seed, 0.3), LABELS, confidence=0.95, seed=seed, claimed=0.92)
        assert result["gaps_confidence"] == pytest.approx(1 - 0.08 / 4)
        gaps = {gap["figure"]: gap for gap in result["gaps"]}
        held.append(all(gaps[figure]["low"] <= value <= gaps[figure]["high"] for figure, value in true.items()))
    assert np.mean(held) >= 0.92 - 2 * np.sqrt(0.92 * 0.08 / 100)


def test_intervals_of_gaps_are_over_clusters():
    groups, output, true = drawn(4)
    copies = [[value for value in values for _ in range(4)] for values in (groups, output, true)]
    clusters, settings = np.arange(300).repeat(4), {"confidence": 0.95, "seed": 0}
    rows, together = (
        fairness.section("dialect", *copies, LABELS, **settings, clusters=given)["gaps"][0]
        for given in (None, clusters)
    )
    assert together["high"] - together["value"] > 1.5 * (rows["high"] - rows["value"])
