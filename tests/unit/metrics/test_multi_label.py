"""Each metric of several classes a row against scikit-learn's own figure, whole and resampled."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.config.settings import EvaluationConfig
from toolkit.errors import RecipeError
from toolkit.evaluation import scores
from toolkit.evaluation.overviews import class_figures
from toolkit.metrics import as_module, column, load
from toolkit.metrics.base import reference_type
from toolkit.metrics.classification import class_counts, membership
from toolkit.metrics.multi_label import METRICS

CLASSES = ("a", "b", "c", "d")
SETS = ("micro_f1", "macro_f1", "samples_f1", "exact_match")
lists = st.lists(st.integers(0, 3), max_size=4, unique=True)
tables = st.lists(st.tuples(lists, lists), min_size=1, max_size=25)
CONFIG = EvaluationConfig(resamples=200)


def onehot(rows) -> np.ndarray:
    return np.array([[int(number in row) for number in range(len(CLASSES))] for row in rows])


def theirs(name: str, true, predicted) -> float:
    true, predicted = onehot(true), onehot(predicted)
    if name == "exact_match":
        return reference.accuracy_score(true, predicted)
    undefined = 1.0 if name == "samples_f1" else np.nan
    return reference.f1_score(true, predicted, average=name.removesuffix("_f1"), zero_division=undefined)


def figure(name: str, predictions, references, labels=CLASSES) -> float:
    return float(METRICS[name].aggregate(METRICS[name].statistics(predictions, references, labels).sum(axis=0)))


def probabilities_of(seed: int, rows: int, ties: bool) -> np.ndarray:
    numbers = np.random.default_rng(seed).random((rows, len(CLASSES)))
    return numbers.round(1) if ties else numbers


@pytest.mark.parametrize("name", SETS)
@given(rows=tables)
def test_the_figure_is_scikit_learns(name, rows):
    predicted, true = zip(*rows, strict=True)
    assert figure(name, predicted, true) == pytest.approx(theirs(name, true, predicted), abs=1e-12, nan_ok=True)


@given(st.lists(lists, min_size=1, max_size=25), st.integers(0, 999), st.booleans())
def test_ranking_loss_is_scikit_learns(true, seed, ties):
    probabilities = probabilities_of(seed, len(true), ties)
    expected = reference.label_ranking_loss(onehot(true), probabilities)
    assert figure("ranking_loss", probabilities, true) == pytest.approx(expected, abs=1e-12)


@given(st.lists(lists, min_size=1, max_size=25), st.integers(0, 999), st.booleans())
def test_mean_average_precision_is_scikit_learns_of_the_classes_that_occur(true, seed, ties):
    probabilities, members = probabilities_of(seed, len(true), ties), onehot(true)
    weights = np.random.default_rng(seed).integers(1, 4, (2, len(true))).astype(float)
    results = METRICS["mean_average_precision"].prepare(probabilities, true, CLASSES)(weights)
    occurs = members.any(axis=0)
    if not occurs.any():
        assert np.isnan(results).all()
        return
    for row, result in zip(weights, results, strict=True):
        expected = reference.average_precision_score(members[:, occurs], probabilities[:, occurs], sample_weight=row)
        assert result == pytest.approx(expected, abs=1e-9)


def test_with_two_classes_each_has_its_precision():
    """Several classes a row are not the two sides of one question."""
    true, probabilities = [[0], [0, 1], [1], []], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.9], [0.1, 0.8]]
    result = METRICS["mean_average_precision"].prepare(probabilities, true, ("a", "b"))(np.ones((1, 4)))[0]
    assert result == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)


@pytest.mark.parametrize("name", SETS)
@given(rows=tables)
def test_order_and_repeats_of_classes_do_not_matter(name, rows):
    predicted, true = zip(*rows, strict=True)
    shuffled = [[*row[::-1], *row[:1]] for row in predicted]
    assert figure(name, shuffled, true) == pytest.approx(figure(name, predicted, true), nan_ok=True)


@given(tables)
def test_exact_match_is_the_strictest_and_perfect_predictions_are_perfect(rows):
    predicted, true = zip(*rows, strict=True)
    assert figure("exact_match", predicted, true) <= figure("samples_f1", predicted, true) + 1e-12
    assert figure("exact_match", true, true) == figure("samples_f1", true, true) == 1
    if any(true):
        assert figure("micro_f1", true, true) == figure("macro_f1", true, true) == 1


def test_a_list_of_one_class_counts_as_the_class():
    predicted, true = [0, 3, 7, -1], [0, 1, 1, 2]
    expected = class_counts(predicted, true, CLASSES)
    assert (class_counts([[n] for n in predicted], [[n] for n in true], CLASSES) == expected).all()
    assert membership([[1, 3], [], (0,)], 4).tolist() == [[0, 1, 0, 1], [0] * 4, [1, 0, 0, 0]]
    assert membership([], 4).shape == (0, 4)


@pytest.mark.parametrize("name", METRICS)
def test_each_is_a_module_and_is_known_by_name(name, no_sockets, no_hub):
    module, definition = load(name)
    assert module is None
    module = as_module(definition)
    assert definition is METRICS[name]
    assert reference_type(definition) == "labels"
    true, probabilities = [[0, 2], [], [1]], [[0.9, 0.2, 0.8], [0.1, 0.1, 0.2], [0.3, 0.7, 0.1]]
    given_ = probabilities if column(definition) == "probabilities" else true
    best = 1.0 if definition.higher_is_better else 0.0
    assert module.compute(predictions=given_, references=true) == {name: best}
    assert as_module(definition, CLASSES[:3]).compute(predictions=given_, references=true) == {name: best}


def test_figures_of_rows_without_any_class_are_left_out(no_hub):
    columns = {"prediction": [[], []], "probabilities": [[0.1] * 4] * 2}
    assert scores.values(columns, [[], []], tuple(METRICS), CLASSES) == {
        "samples_f1": 1.0,
        "exact_match": 1.0,
        "ranking_loss": 0.0,
    }


def test_another_form_of_references_is_refused():
    columns = {"prediction": [[0]], "probabilities": [[0.5, 0.5]]}
    with refused(RecipeError, "recipe.metric-type", "ranking_loss"):
        scores.values(columns, [0], ("ranking_loss",), ("a", "b"))


def test_each_class_of_several_is_counted_with_intervals():
    true = [[0], [0, 1], [1], [], [2, 0], [0]] * 10
    predicted = [[0], [1], [1, 0], [], [0], [0]] * 10
    rows = {row["label"]: row for row in class_figures.per_class(predicted, true, CLASSES, CONFIG, seed=0)}
    assert {label: row["support"] for label, row in rows.items()} == {"a": 40, "b": 20, "c": 10, "d": 0}
    assert rows["a"]["precision"]["value"] == pytest.approx(3 / 4)
    assert rows["a"]["recall"]["value"] == pytest.approx(3 / 4)
    assert 0.5 < rows["a"]["f1"]["low"] < 0.75 < rows["a"]["f1"]["high"] < 0.95
    assert rows["b"]["f1"]["value"] == 1 > rows["b"]["f1"]["low"] > 0.8
    assert rows["c"]["precision"]["value"] is None
    assert rows["d"]["f1"]["value"] is None


@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_is_not_certain(right, no_hub):
    true = [[0, 1, 2]] * 50
    predicted = true if right else [[3]] * 50
    probabilities = [[0.9, 0.8, 0.7, 0.1] if right else [0.1, 0.2, 0.3, 0.9]] * 50
    columns = {"prediction": predicted, "probabilities": probabilities}
    names = (*SETS, "ranking_loss")
    for result in scores.score(columns, true, names, CLASSES, CONFIG, seed=0):
        value = float(right != (result["name"] == "ranking_loss"))
        assert result["value"] == value
        assert 0.03 < result["high"] - result["low"] < 0.4  # no narrower than fifty rows allow: Wilson has 0.071
        assert value in (result["low"], result["high"])


def test_models_are_compared_on_the_same_rows():
    true = [[0, 1], [2], [1], []] * 20
    worse = [[0], [2], [3], []] * 20
    result = scores.difference(
        METRICS["micro_f1"], {"prediction": true}, {"prediction": worse}, true, CLASSES, CONFIG, seed=0
    )
    assert result["value"] == pytest.approx(1 - 4 / 7)
    assert 0 < result["low"] < result["value"] < result["high"]
    assert "mcnemar" not in result
