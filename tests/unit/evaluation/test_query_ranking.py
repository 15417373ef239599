"""Figures of ranked candidates are those of scikit-learn, also where scores are equal."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from toolkit.evaluation.checks import ranking as check
from toolkit.evaluation.statistics.query_ranking import average_precision, ndcg, reciprocal_rank
from toolkit.report.document.schema import REPORT, faults, fill
from toolkit.report.sections import findings

DRAWS = {"confidence": 0.95, "resamples": 300, "seed": 0}


@pytest.mark.parametrize("levels", [2, 5])
@pytest.mark.parametrize("different", [2, 4, 10_000])
def test_figures_are_those_of_scikit_learn(levels, different):
    random = np.random.default_rng([levels, different])
    for _ in range(40):
        size = random.integers(2, 30)
        gains = random.integers(0, levels, size).astype(float)
        gains[random.integers(size)] = 1
        scores = random.integers(0, different, size) / different
        assert ndcg(gains, scores) == pytest.approx(ndcg_score([gains], [scores], k=10), abs=1e-12)
        expected = average_precision_score(gains > 0, scores)
        assert average_precision(gains > 0, scores) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("relevant", "scores", "expected"),
    [
        ([1, 0, 0], [0.9, 0.5, 0.1], 1),
        ([0, 1, 1], [0.9, 0.5, 0.1], 1 / 2),
        ([1, 0, 0], [0.5, 0.5, 0.5], 1 / 3),  # the last place of equal scores
        ([1, 1, 0], [0.5, 0.5, 0.1], 1),
    ],
)
def test_the_reciprocal_rank_is_that_of_the_first_relevant_candidate(relevant, scores, expected):
    assert reciprocal_rank(np.array(relevant, bool), np.array(scores)) == expected


def test_queries_are_the_unit_and_those_without_a_relevant_candidate_are_left_out():
    random = np.random.default_rng(0)
    queries = [f"q{number // 5}" for number in range(200)] + ["alone", "none", "none", None]
    gains = np.array([*[float(number % 5 == 0) for number in range(200)], 1, 0, 0, 1])
    scores = gains * 0.5 + random.random(len(gains))
    result = check.section("query", queries, gains, scores, DRAWS)
    assert (result["queries"], result["left_out"], result["rows"]) == (40, 2, 200)
    by_name = {metric["name"]: metric for metric in result["metrics"]}
    assert set(by_name) == {"ndcg_10", "mrr", "map"}
    expected = ndcg_score(gains[:200].reshape(40, 5), scores[:200].reshape(40, 5), k=10)
    assert by_name["ndcg_10"]["value"] == pytest.approx(expected)
    assert all(metric["low"] < metric["value"] < metric["high"] for metric in by_name.values())
    assert faults(REPORT["evaluation"]["ranking"], result) == []
    (section,) = findings.ranking(fill(REPORT, {"evaluation": {"ranking": result}})["evaluation"]["ranking"])
    assert section.blocks[0].rows[0][0].text == "NDCG@10"


def test_graded_gains_have_no_relevant_class():
    gains = np.array([0, 2.5, 5, 1, 0, 3])
    result = check.section("query", [1, 1, 1, 2, 2, 2], gains, gains, DRAWS)
    assert [(metric["name"], metric["value"], metric["low"]) for metric in result["metrics"]] == [("ndcg_10", 1, None)]
    nothing = check.section("query", [1, 2], np.array([1.0, 0.0]), np.zeros(2), DRAWS)
    assert nothing["metrics"] == []
    assert nothing["not_tested"]
