"""Metrics of ordered classes against scikit-learn's figures and counts by hand."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import scores
from toolkit.metrics import as_module, load
from toolkit.metrics.ordinal import METRICS

STARS = ("1", "2", "3", "4", "5")
pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


def figure(name: str, predicted, true) -> float:
    return float(METRICS[name].aggregate(METRICS[name].statistics(predicted, true, STARS).sum(axis=0)))


@given(pairs)
def test_kappa_is_scikit_learns(rows):
    predicted, true = zip(*rows, strict=True)
    if len({*predicted, *true}) == 1:
        assert np.isnan(figure("quadratic_kappa", predicted, true))
        return
    theirs = reference.cohen_kappa_score(true, predicted, weights="quadratic", labels=range(5))
    assert figure("quadratic_kappa", predicted, true) == pytest.approx(theirs, abs=1e-12)


@given(pairs)
def test_distances_are_those_of_the_class_numbers(rows):
    predicted, true = zip(*rows, strict=True)
    assert figure("ordinal_mae", predicted, true) == pytest.approx(reference.mean_absolute_error(true, predicted))
    assert figure("within_one", predicted, true) == pytest.approx(np.mean([abs(a - b) <= 1 for a, b in rows]))


@given(pairs, st.integers(-2, 9))
def test_figures_do_not_depend_on_the_first_number_or_the_direction(rows, shift):
    predicted, true = (np.array(values) for values in zip(*rows, strict=True))
    for name in METRICS:
        expected = pytest.approx(figure(name, predicted, true), abs=1e-9, nan_ok=True)
        assert figure(name, predicted + shift, true + shift) == expected
        assert figure(name, 4 - predicted, 4 - true) == expected


@pytest.mark.parametrize("name", METRICS)
@given(rows=pairs)
def test_many_sums_at_once_give_what_each_gives_alone(name, rows):
    predicted, true = zip(*rows, strict=True)
    statistics = METRICS[name].statistics(predicted, true, STARS)
    sums = statistics.sum(axis=0) - statistics
    together = METRICS[name].aggregate(sums[None])
    assert together[0].tolist() == [pytest.approx(float(METRICS[name].aggregate(row)), nan_ok=True) for row in sums]


def test_each_is_a_module_and_its_direction_is_known(no_sockets, no_hub):
    predicted, true = [0, 1, 2, 4], [0, 2, 4, 4]
    # observed: 5 / 4; by chance, of every prediction with every truth: (4 × 21 + 4 × 36 - 2 × 7 × 10) / 16
    expected = {"quadratic_kappa": 1 - (5 / 4) / (88 / 16), "ordinal_mae": 0.75, "within_one": 0.75}
    for name in METRICS:
        module, definition = load(name)
        assert module is None
        module = as_module(definition)
        assert definition is METRICS[name]
        assert module.compute(predictions=predicted, references=true)[name] == pytest.approx(expected[name])
    assert [name for name in METRICS if not METRICS[name].higher_is_better] == ["ordinal_mae"]


def test_intervals_hold_the_figure_and_a_share_of_one_is_not_certain(no_hub):
    predicted, true = [0, 1, 2, 3, 4, 1] * 20, [0, 1, 3, 3, 4, 0] * 20
    config = EvaluationConfig(resamples=200)
    results = {r["name"]: r for r in scores.score({"prediction": predicted}, true, tuple(METRICS), STARS, config, 0)}
    for name in ("quadratic_kappa", "ordinal_mae"):
        assert results[name]["low"] < results[name]["value"] < results[name]["high"]
    assert results["within_one"]["value"] == 1 > results["within_one"]["low"] > 0.96
