"""Metrics of numbers against scikit-learn's and SciPy's figures, whole, weighted and undefined."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import scores
from toolkit.metrics import Metric, load
from toolkit.metrics.regression import METRICS

numbers = st.floats(-100, 100).map(lambda value: round(value, 1))  # so that some are equal
tables = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=40)
THEIRS = {
    "mae": reference.mean_absolute_error,
    "rmse": reference.root_mean_squared_error,
    "r2": reference.r2_score,
    "pearson": lambda true, predicted: stats.pearsonr(true, predicted).statistic,
    "spearman": lambda true, predicted: stats.spearmanr(true, predicted).statistic,
}
CORRELATIONS = ("pearson", "spearman")


def figure(name: str, predicted, true, weights=None) -> float:
    metric = METRICS[name]
    weights = np.ones(len(true)) if weights is None else weights
    if isinstance(metric, Metric):
        return float(metric.aggregate(weights @ metric.statistics(predicted, true, ())))
    return float(metric.prepare(predicted, true, ())(weights[None])[0])


def undefined(name: str, predicted, true) -> bool:
    return (name == "r2" and np.ptp(true) == 0) or (
        name in CORRELATIONS and (np.ptp(true) == 0 or np.ptp(predicted) == 0)
    )


@pytest.mark.parametrize("name", METRICS)
@given(rows=tables, seed=st.integers(0, 99))
def test_the_figure_is_theirs_whole_and_repeated(name, rows, seed):
    """Weights are how often each example occurs, as the bootstrap draws them."""
    predicted, true = (np.array(values) for values in zip(*rows, strict=True))
    weights = np.random.default_rng(seed).multinomial(len(true), np.full(len(true), 1 / len(true)))
    for counts in (np.ones(len(true), int), weights):
        some, truth = np.repeat(predicted, counts), np.repeat(true, counts)
        result = figure(name, predicted, true, counts.astype(float))
        if undefined(name, some, truth):
            assert np.isnan(result)
        else:
            assert result == pytest.approx(THEIRS[name](truth, some), rel=1e-7, abs=1e-7)


@given(tables, st.floats(0.01, 100), st.floats(-1e6, 1e6))
def test_correlations_do_not_depend_on_the_unit(rows, factor, shift):
    predicted, true = (np.array(values) for values in zip(*rows, strict=True))
    moved = predicted * factor + shift
    if len(np.unique(moved)) < len(np.unique(predicted)):
        return  # rounded together
    for name in CORRELATIONS:
        expected = pytest.approx(figure(name, predicted, true), abs=1e-6, nan_ok=True)
        assert figure(name, moved, true) == expected
        assert figure(name, true, moved) == expected


@given(tables)
def test_spearman_is_the_same_after_a_growing_function(rows):
    predicted, true = (np.array(values) for values in zip(*rows, strict=True))
    expected = pytest.approx(figure("spearman", predicted, true), abs=1e-12, nan_ok=True)
    assert figure("spearman", predicted**3, true) == expected
    assert figure("spearman", -predicted, -true) == expected


@pytest.mark.parametrize("shift", [0.0, 1.7e9, -4e12])
def test_values_far_from_zero_lose_no_digits(shift):
    random = np.random.default_rng(0)
    true = random.normal(size=300).round(3)
    predicted = (true + random.normal(size=300) / 2).round(3)
    for name in METRICS:
        assert figure(name, predicted + shift, true + shift) == pytest.approx(
            figure(name, predicted, true), rel=1e-2 if abs(shift) > 1e12 else 1e-5
        )


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_correlations_of_tiny_and_huge_values_are_finite(scale):
    predicted, true = np.array([1.0, 2.0, 3.0, 5.0]) * scale, [1.0, 3.0, 2.0, 5.0]
    assert figure("pearson", predicted, true) == pytest.approx(THEIRS["pearson"](true, predicted / scale))


def test_one_row_and_constants_are_undefined():
    for name in ("r2", *CORRELATIONS):
        assert np.isnan(figure(name, [1.0], [2.0]))
        assert np.isnan(figure(name, [0.1, 0.2, 0.3], [0.7] * 3))
    for name in CORRELATIONS:
        assert np.isnan(figure(name, [0.1] * 3, [0.1, 0.2, 0.3]))
    assert figure("r2", [0.2] * 3, [0.1, 0.2, 0.3]) == pytest.approx(0)
    assert figure("mae", [1.0], [2.0]) == figure("rmse", [1.0], [2.0]) == 1


def test_weights_that_leave_one_value_are_undefined():
    predicted, true = [0.1, 0.2, 0.3], [1.1, 1.2, 1.4]
    for name in ("r2", *CORRELATIONS):
        assert np.isnan(figure(name, predicted, true, np.array([3.0, 0, 0])))
        assert not np.isnan(figure(name, predicted, true, np.array([2.0, 1, 0])))


def test_they_are_modules_with_intervals(no_sockets, no_hub):
    random = np.random.default_rng(0)
    true = random.normal(size=80)
    columns = {"prediction": (true + random.normal(size=80) / 2).tolist()}
    results = scores.score(columns, true.tolist(), tuple(METRICS), (), EvaluationConfig(resamples=200), seed=0)
    assert [result["name"] for result in results] == list(METRICS)
    for result in results:
        assert result["value"] == pytest.approx(THEIRS[result["name"]](true, columns["prediction"]))
        assert result["low"] < result["value"] < result["high"]
    assert [name for name in METRICS if not METRICS[name].higher_is_better] == ["mae", "rmse"]
    assert all(load(name)[1] is METRICS[name] for name in METRICS)


def test_a_constant_predictor_has_errors_and_no_correlation(no_hub):
    true = [1.0, 2.0, 4.0] * 20
    names = set(scores.values({"prediction": [2.0] * 60}, true, tuple(METRICS), ()))
    assert names == {"mae", "rmse", "r2"}
