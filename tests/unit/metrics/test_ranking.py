"""Metrics of rankings equal scikit-learn's and plain formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from toolkit.metrics import as_module, load, ranking
from toolkit.metrics.ranking import METRICS

ITEMS = [f"item {number}" for number in range(30)]


@st.composite
def rankings(draw):
    order = draw(st.permutations(ITEMS))
    return list(order)[: draw(st.integers(1, ranking.LISTED))], draw(st.sampled_from(ITEMS))


@given(st.lists(rankings(), min_size=1, max_size=8))
def test_ndcg_is_that_of_scikit_learn(rows):
    predicted, true = [row for row, _ in rows], [item for _, item in rows]
    relevant = np.array([[float(item == wanted) for item in ITEMS] for wanted in true])
    worth = np.array([[-row.index(item) if item in row else -100.0 for item in ITEMS] for row in predicted])
    listed = [wanted in row for row, wanted in rows]  # scikit-learn ranks the others too
    expected = [ndcg_score(r[None], w[None], k=10) if there else 0.0
                for r, w, there in zip(relevant, worth, listed, strict=True)]  # fmt: skip
    metric = METRICS["ndcg_10"]
    assert metric.statistics(predicted, true, ())[:, 0] == pytest.approx(expected)


def test_hit_rate_and_reciprocal_rank_by_hand():
    predicted = [ITEMS[:20]] * 4
    true = [ITEMS[0], ITEMS[9], ITEMS[10], ITEMS[25]]  # ranks 1, 10, 11, none
    sums = {name: metric.statistics(predicted, true, ()).sum(axis=0) for name, metric in METRICS.items()}
    values = {name: METRICS[name].aggregate(row) for name, row in sums.items()}
    assert values["hit_rate_10"] == pytest.approx(2 / 4)
    assert values["mrr_20"] == pytest.approx((1 + 1 / 10 + 1 / 11) / 4)
    assert values["ndcg_10"] == pytest.approx((1 + 1 / np.log2(11)) / 4)


def test_a_metric_is_an_evaluate_module(no_hub, no_sockets):
    module, definition = load("hit_rate_10")
    assert module is None
    module = as_module(definition)
    assert module.compute(predictions=[["a", "b"], ["b"]], references=["b", "a"]) == {"hit_rate_10": 0.5}


def test_coverage_counts_the_first_ten():
    assert ranking.coverage([["a", "b"], ["b"]], ["a", "b", "c", "d"]) == 0.5
    assert ranking.coverage([ITEMS[:20]], ITEMS) == pytest.approx(10 / 30)
    assert ranking.coverage([], ITEMS) == 0.0


def test_popularity_is_relative_to_histories():
    counts = {"a": 9, "b": 3, "c": 1}
    recommended = ranking.popularity([["a"], ["a", "b"]], counts)
    histories = ranking.popularity([["b", "c"], ["c", "unknown"]], counts)
    assert recommended.tolist() == [[9, 1], [12, 2]]
    sums = np.concatenate([recommended, histories], axis=1).sum(axis=0)
    assert ranking.popularity_ratio(sums) == pytest.approx((21 / 3) / (5 / 4))
