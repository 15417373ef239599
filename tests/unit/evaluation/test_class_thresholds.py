"""Thresholds of several classes a row raise F1 on new rows, and are not fitted to few."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from toolkit.evaluation.class_thresholds import LEAST_POSITIVES, best_f1, choose, predicted_classes
from toolkit.metrics.multi_label import METRICS

SHARES = np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.02])


def sample(seed: int, rows: int, shift: float = 0.0):
    """Return probabilities, calibrated but for the shift of their logits, and the true classes."""
    random = np.random.default_rng([seed, rows])
    true = random.random((rows, 6)) < SHARES
    distance = 1.5 + np.arange(6) % 3 / 2
    logits = np.log(SHARES / (1 - SHARES)) + distance * (random.normal(size=true.shape) + distance * (true - 0.5))
    return 1 / (1 + np.exp(-logits - shift)), [np.flatnonzero(row).tolist() for row in true]


def macro_f1(probabilities, references, thresholds) -> float:
    metric, predicted = METRICS["macro_f1"], predicted_classes(probabilities, thresholds)
    return float(metric.aggregate(metric.statistics(predicted, references, "abcdef").sum(axis=0)))


def mean_gain(rows: int, shift: float, seeds: int = 30) -> float:
    gains = []
    for seed in range(seeds):
        thresholds = choose(*sample(seed, rows, shift))
        new = sample(seed + 1000, 2000, shift)
        gains.append(macro_f1(*new, thresholds) - macro_f1(*new, [0.5] * 6))
    return float(np.mean(gains))


@pytest.mark.parametrize("rows", [50, 200, 1000])
@pytest.mark.parametrize(("shift", "least"), [(0.0, 0.01), (-1.0, 0.05), (1.0, -0.01)])
def test_macro_f1_of_new_rows(rows, shift, least):
    """Calibrated and too low probabilities gain; where 0.5 is already best, less than a point is lost."""
    assert mean_gain(rows, shift) > least


def test_few_rows_change_little_and_many_much():
    few, some, many = (
        np.mean([np.abs(np.array(choose(*sample(seed, rows, -1.0))) - 0.5) for seed in range(10)])
        for rows in (15, 100, 5000)
    )
    assert few < some < many
    assert few < 0.2 < 0.25 < many


@given(st.lists(st.tuples(st.floats(0, 1).map(lambda p: round(p, 2)), st.booleans()), min_size=1, max_size=40))
def test_the_threshold_has_the_highest_f1(rows):
    scores, true = np.array([score for score, _ in rows]), np.array([truth for _, truth in rows])
    if not true.any():
        return
    threshold = best_f1(scores, true)
    ours = reference.f1_score(true, scores >= threshold)
    assert ours == pytest.approx(max(reference.f1_score(true, scores >= score) for score in scores))
    assert 0 <= threshold <= 1


def test_rare_classes_have_the_threshold_of_all_together():
    probabilities, references = sample(1, 400, -1.0)
    references = [[number for number in row if number != 5] for row in references]
    some = [row for row, classes in enumerate(references) if 0 in classes][: LEAST_POSITIVES - 1]
    for row in some:
        references[row].append(5)
    rare = choose(probabilities, references)
    for row in some:
        references[row].remove(5)
    none = choose(probabilities, references)
    assert rare[5] != rare[0]
    assert rare[5] == pytest.approx(none[5], abs=0.05)


@pytest.mark.parametrize("references", [[[]] * 3, [[0], [1], []]])
def test_without_positives_it_is_a_half(references):
    assert choose([[0.2, 0.1], [0.9, 0.3], [0.4, 0.6]], references) == [0.5, 0.5]


def test_classes_at_or_above_their_threshold_are_predicted():
    assert predicted_classes([[0.5, 0.2, 0.9], [0.1, 0.1, 0.1]], [0.5, 0.3, 0.2]) == [[0, 2], []]


def test_repeated_rows_do_not_count_as_further_ones():
    """Five copies of each row, in a group, give nearly the thresholds of the rows alone."""
    probabilities, references = sample(3, 200, -1.0)
    alone = np.array(choose(probabilities, references))
    copies = (probabilities.repeat(5, axis=0), [row for row in references for _ in range(5)])
    naive, grouped = (np.array(choose(*copies, clusters)) for clusters in (None, np.arange(200).repeat(5)))
    assert np.abs(grouped - alone).max() < 0.02
    assert np.abs(naive - alone).max() > 2 * np.abs(grouped - alone).max()
