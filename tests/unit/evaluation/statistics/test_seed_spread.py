"""Mean and spread over seeds, counted by hand, and an interval that covers the mean."""

from statistics import NormalDist

import numpy as np
import pytest

from tests.support.reports import sample
from toolkit.evaluation.statistics import seed_spread
from toolkit.metrics import load
from toolkit.report.document.schema import REPORT, faults
from toolkit.report.document.several_models import seeds_verdict


def reports(values):
    results = []
    for number, value in enumerate(values):
        report = sample()
        report["evaluation"]["metrics"] = [{**report["evaluation"]["metrics"][0], "value": value}]
        report["config"]["training"]["seed"] = number
        results.append(report)
    return results


def test_mean_and_spread_counted_by_hand():
    result = seed_spread.section("abc", reports([0.80, 0.82, 0.87]), [[0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1]])
    assert faults(REPORT["seeds"], result) == []
    (figure,) = result["summary"]
    assert figure["value"] == pytest.approx(0.83)
    assert figure["deviation"] == pytest.approx(np.std([0.80, 0.82, 0.87], ddof=1))
    assert (figure["lowest"], figure["highest"]) == (0.80, 0.87)
    assert result["agreement"] == 0.5
    assert [(run["name"], run["seed"]) for run in result["runs"]] == [("a", 0), ("b", 1), ("c", 2)]


def test_the_interval_of_the_mean_covers_it():
    random = np.random.default_rng(0)
    held = []
    for values in random.normal(0.8, 0.01, (1000, 5)):
        result = seed_spread.summary(values.tolist(), 0.95)
        held.append(result["low"] <= 0.8 <= result["high"])
    assert 0.93 <= np.mean(held) <= 0.97


def test_a_figure_that_not_all_runs_have_is_left_out():
    several = reports([0.8, 0.9])
    several[1]["evaluation"]["metrics"].append({**several[0]["evaluation"]["metrics"][0], "name": "auroc"})
    assert [figure["name"] for figure in seed_spread.section("ab", several, [[0], [0]])["summary"]] == ["accuracy"]


def test_verdict_has_mean_spread_and_baselines():
    several = reports([0.80, 0.82, 0.87])
    several[0]["baselines"][0]["difference"]["low"] = -0.01
    result = seed_spread.section("abc", several, [[0], [0], [1]])
    output = seeds_verdict(result, [report["baselines"] for report in several])
    assert output["headline"] == (
        "Accuracy 83.0 % on average over 3 seeds (standard deviation 3.61 points, 80.0 to 87.0) on 1,280 test examples."
    )
    assert output["statements"][0] == (
        "Compared with TF-IDF + logistic regression: significantly better with 2 of 3 seeds, "
        "significantly worse with 0; mean difference +7.9 points."
    )
    assert " 0.0 % of the examples" in output["statements"][-1]
    assert len(output["warnings"]) == 1


def test_an_interval_stays_where_its_figure_can_be():
    result = seed_spread.summary([0.8, 0.95], 0.95, (0.0, 1.0))
    assert (result["low"], result["high"]) == (0.0, 1.0)
    assert seed_spread._bounds({"name": "matthews", "unit": "score"}) == (-1, 1)
    assert seed_spread._bounds({"name": "accuracy", "unit": "fraction"}) == (0, 1)
    assert seed_spread._bounds({"name": "bleu", "unit": "points"}) == seed_spread.ANY


def test_the_interval_covers_over_rows_and_seeds():
    """Accuracy of a training: rows differ in difficulty, seeds in skill, and both together."""
    random, held, alone, metric = np.random.default_rng(1), 0, 0, load("accuracy")[1]
    true = np.zeros(400, np.int64)
    for _ in range(400):
        difficulty, skill = random.normal(size=400), random.normal(scale=0.12, size=5)
        logits = 1.5 + 1.5 * difficulty + skill[:, None] + random.normal(scale=0.5, size=(5, 400))
        wrong = (logits < 0).astype(np.int64)
        values = (1 - wrong.mean(axis=1)).tolist()
        error = seed_spread.row_error(metric, wrong.tolist(), true.tolist(), ["a", "b"], None)
        interval, of_seeds = seed_spread.summary(values, 0.95, row_error=error), seed_spread.summary(values, 0.95)
        population = NormalDist().cdf(1.5 / (1.5**2 + 0.12**2 + 0.5**2) ** 0.5)
        held += interval["low"] <= population <= interval["high"]
        alone += of_seeds["low"] <= population <= of_seeds["high"]
    assert 0.93 <= held / 400 <= 0.99
    assert alone / 400 < 0.9  # over the seeds alone it does not hold for other rows
