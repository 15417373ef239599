"""Intervals of areas under curves hold the truth where one class has few rows."""

import numpy as np
import pytest

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation.scores import figure_interval
from toolkit.evaluation.statistics.weighted import bootstrap_weighted, share_of_pairs
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


def nearly_perfect(seed, positives, rows, outliers=0.0):
    """Draw scores whose classes hardly overlap, but for a share of the positives that ranks below."""
    random = np.random.default_rng(seed)
    true = (np.arange(rows) < positives).astype(int)
    scores = random.normal(size=rows) + true * np.where(random.random(rows) < outliers, -1.0, 3.8)
    probabilities = 1 / (1 + np.exp(-scores / 4))
    return np.stack([1 - probabilities, probabilities], axis=1), true.tolist()


@pytest.mark.parametrize(("positives", "outliers"), [(10, 0.0), (20, 0.0), (20, 0.25)])
def test_nearly_perfect_rankings_are_not_taken_for_perfect_ones(positives, outliers):
    """Often no row of a sample is out of place; a few that are have all influence."""
    metric, rows, config = METRICS["auroc"], 200, EvaluationConfig(resamples=200)
    many = 100_000
    probabilities, true = nearly_perfect(0, many * positives // rows, many, outliers)
    truth = float(metric.prepare(probabilities, true, ["a", "b"])(np.ones((1, many)))[0])
    ends = [
        figure_interval(metric, *nearly_perfect(seed, positives, rows, outliers), ["a", "b"], config, seed)
        for seed in range(1, 201)
    ]
    assert all(0 < end.low < end.value <= end.high <= 1 for end in ends)
    assert sum(end.low <= truth <= end.high for end in ends) >= 0.92 * len(ends)  # 95 % less two standard errors
    if not outliers:
        assert sum(end.value == 1 for end in ends) > 20


def test_the_interval_of_pairs_holds_the_areas_that_allow_for_the_observed_one():
    ends = share_of_pairs(0.9, 12, 40, 0.95)
    for area in (ends.low, ends.high):
        first, second = area / (2 - area), 2 * area**2 / (1 + area)  # Hanley and McNeil 1982
        half = (12 + 40) / 2 - 1
        variance = (area * (1 - area) + half * (first + second - 2 * area**2)) / (12 * 40)
        assert abs(area - 0.9) == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-4)
    assert share_of_pairs(1.0, 12, 40, 0.95).high == 1
    assert share_of_pairs(1.0, 12, 40, 0.95).low < share_of_pairs(1.0, 120, 400, 0.95).low < 1


def test_clusters_and_several_classes_have_an_interval_where_all_is_right():
    config, metric, true = EvaluationConfig(resamples=100), METRICS["auroc"], np.arange(60) % 3
    sure = np.eye(3)[true] * 0.9 + 0.05
    of_rows, of_groups = (
        figure_interval(metric, sure, true.tolist(), ["a", "b", "c"], config, 0, clusters)
        for clusters in (None, np.arange(60) // 6)
    )
    assert of_rows.value == of_groups.value == of_rows.high == 1
    assert of_groups.low < of_rows.low < 1
    assert figure_interval(METRICS["average_precision"], sure, true.tolist(), ["a", "b", "c"], config, 0) is None
