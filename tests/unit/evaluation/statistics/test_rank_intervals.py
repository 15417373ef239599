"""Intervals of areas under curves hold the truth where one class has few rows."""

import numpy as np
import pytest

from toolkit.evaluation.statistics.weighted import bootstrap_weighted
from toolkit.metrics.probability import METRICS


def drawn(seed, positives, rows, distance):
    """Draw scores of two classes, normal with means that are `distance` apart."""
    random = np.random.default_rng(seed)
    true = (np.arange(rows) < positives).astype(int)
    scores = 1 / (1 + np.exp(-random.normal(size=rows) - distance * true))
    return np.stack([1 - scores, scores], axis=1), true.tolist()


def interval(name, seed, positives, rows, distance, **settings):
    metric = METRICS[name]
    probabilities, true = drawn(seed, positives, rows, distance)
    figure = metric.prepare(probabilities, true, ["a", "b"])
    settings = {"scale": metric.scale, "classes": true, "resamples": 300, **settings}
    return bootstrap_weighted(figure, rows, confidence=0.95, seed=seed, **settings)


@pytest.mark.parametrize(
    ("name", "positives", "rows"), [("auroc", 10, 200), ("auroc", 20, 200), ("average_precision", 15, 50)]
)
def test_few_rows_of_a_class_are_allowed_for(name, positives, rows):
    metric = METRICS[name]
    many = 100_000
    probabilities, true = drawn(0, many * positives // rows, many, 1.5)
    truth = float(metric.prepare(probabilities, true, ["a", "b"])(np.ones((1, many)))[0])
    ends = [interval(name, seed, positives, rows, 1.5) for seed in range(1, 251)]
    assert sum(end.low <= truth <= end.high for end in ends) >= 0.92 * len(ends)  # 95 % less two standard errors


def test_the_interval_is_wider_the_fewer_rows_a_class_has():
    few, many = (interval("auroc", 3, positives, 400, 1.5) for positives in (8, 200))
    assert 0 < few.low < few.value < few.high < 1
    assert few.high - few.low > 2 * (many.high - many.low)


def test_a_perfect_ranking_has_no_interval_from_resampling():
    perfect = interval("auroc", 1, 10, 60, 50.0)
    assert perfect.low == perfect.value == perfect.high == 1
