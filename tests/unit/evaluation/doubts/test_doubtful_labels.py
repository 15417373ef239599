"""Doubts about labels of training rows, on tables whose wrong labels are known."""

from typing import Any

import numpy as np
import pytest

from toolkit.evaluation.doubts import labels as doubtful_labels
from toolkit.evaluation.doubts.doubt import DUPLICATE, LABEL, OUTLIER, Doubt, merged
from toolkit.training.adaptation import linear_probe, probe_kinds
from toolkit.training.adaptation.feature_vectors import MEAN, Vectors

ROWS, WIDTH, FOLDS = 800, 16, 5


def table(classes: int, flipped: float, seed: int) -> tuple[Any, Any, Any]:
    """Return vectors (N, D) of rows, their labels of which some are wrong, and which are."""
    random = np.random.default_rng(seed)
    truth = random.integers(classes, size=ROWS)
    centres = random.normal(size=(classes, WIDTH))
    centres *= 3.0 / np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = (centres[truth] + random.normal(size=(ROWS, WIDTH))).astype(np.float32)
    wrong = random.random(ROWS) < flipped
    return vectors, np.where(wrong, (truth + random.integers(1, classes, ROWS)) % classes, truth), wrong


def probabilities(vectors: Any, labels: Any, classes: int, most: int = ROWS) -> Any:
    """Predict each row by a regression on the other folds."""
    folds = np.random.default_rng(1).integers(FOLDS, size=len(labels))
    fitted = linear_probe.out_of_fold(
        Vectors({MEAN: vectors}, labels), folds, classes, probe_kinds.ONE_CLASS, seed=0, most=most
    )
    assert fitted is not None
    scaled = np.exp(fitted[1] - fitted[1].max(axis=1, keepdims=True))
    return scaled / scaled.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 4])
def test_tenth_of_labels_flipped_is_found_and_estimated(classes: int) -> None:
    precision, recall, expected, inside = [], [], [], 0
    for seed in range(4):
        vectors, labels, wrong = table(classes, 0.1, seed)
        doubts, noise = doubtful_labels.of_one_class(probabilities(vectors, labels, classes), labels)
        assert noise is not None and noise["rows"] == ROWS
        rows = [doubt.row for doubt in doubts]
        assert [doubt.score for doubt in doubts] == sorted((doubt.score for doubt in doubts), reverse=True)
        precision.append(wrong[rows].mean())
        recall.append(wrong[rows].sum() / wrong.sum())
        expected.append(noise["precision"]["value"])
        inside += noise["expected"]["low"] <= wrong.sum() <= noise["expected"]["high"]
        assert noise["low"] > 0
        assert wrong[rows[:20]].mean() >= 0.9  # the first ones
    assert np.mean(precision) >= 0.8
    assert np.mean(recall) >= 0.7
    assert abs(np.mean(precision) - np.mean(expected)) < 0.1  # the expected precision is kept
    assert inside >= 3


@pytest.mark.parametrize("classes", [2, 4])
def test_none_flipped_none_expected(classes: int) -> None:
    for seed in range(3):
        vectors, labels, _ = table(classes, 0.0, seed)
        _, noise = doubtful_labels.of_one_class(probabilities(vectors, labels, classes), labels)
        assert noise is not None
        assert noise["low"] == 0.0


def test_suggestions_are_the_true_labels() -> None:
    vectors, labels, wrong = table(3, 0.1, seed=5)
    truth = np.where(wrong, -1, labels)
    doubts, _ = doubtful_labels.of_one_class(probabilities(vectors, labels, 3), labels)
    right = [doubt for doubt in doubts if wrong[doubt.row]]
    assert len(right) > 40
    assert all(doubt.suggestion != labels[doubt.row] for doubt in doubts)
    assert not set(truth[[doubt.row for doubt in right]]) - {-1}


def test_regression_of_some_vectors_predicts_all() -> None:
    """A row's own label is never learned from: with labels of chance, predictions are no better than chance."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(600, 64)).astype(np.float32)
    labels = random.integers(2, size=600)
    for most in (200, 600):
        right = probabilities(vectors, labels, 2, most).argmax(axis=1) == labels
        assert 0.4 < right.mean() < 0.6


def test_few_rows_have_no_estimate() -> None:
    labels = np.array([0, 1] * 20)
    own = np.where(labels[:, None] == np.arange(2), 0.9, 0.1)
    own[0] = own[0][::-1]
    doubts, noise = doubtful_labels.of_one_class(own, labels)
    assert noise is None
    assert [(doubt.row, doubt.suggestion) for doubt in doubts] == [(0, 1)]
    assert doubts[0].score == pytest.approx(0.9)


def test_several_classes_are_doubted_one_by_one() -> None:
    random = np.random.default_rng(3)
    true = random.random((300, 3)) < 0.4
    likely = np.clip(np.where(true, 0.9, 0.1) + random.normal(0, 0.03, (300, 3)), 0.01, 0.99)
    likely[[7, 9]] = np.where(true[[7, 9]], 0.97, 0.03)
    given = true.copy()
    given[7, 2] ^= True
    given[9, :2] ^= True
    doubts = doubtful_labels.of_classes(likely, [np.flatnonzero(row).tolist() for row in given])
    assert {doubt.row for doubt in doubts[:2]} == {7, 9}
    suggested = {doubt.row: doubt.suggestion for doubt in doubts}
    assert suggested[7] == np.flatnonzero(true[7]).tolist()
    assert suggested[9] == np.flatnonzero(true[9]).tolist()


def test_numbers_far_from_their_prediction() -> None:
    random = np.random.default_rng(4)
    truth = random.normal(10, 5, 500)
    given = truth.copy()
    given[[3, 50]] += (40, -30)
    doubts = doubtful_labels.of_numbers(truth + random.normal(0, 1, 500), given)
    assert [doubt.row for doubt in doubts[:2]] == [3, 50]
    assert len(doubts) <= 4
    assert doubts[0].suggestion == pytest.approx(truth[3], abs=4)
    assert doubtful_labels.of_numbers(truth, truth) == []


def test_words_are_doubted_in_their_sentences() -> None:
    references = [[0, 1, 0], [1, 0]] * 30
    places = [(row, word) for row, labels in enumerate(references) for word in range(len(labels))]
    labels = np.array([references[row][word] for row, word in places])
    likely = np.where(labels[:, None] == np.arange(2), 0.9, 0.1)
    likely[[n for n, (row, _) in enumerate(places) if row == 5]] += ((-0.05, 0.05), (0.05, -0.05))
    references[5] = [1, 1]
    doubts = doubtful_labels.of_words(likely, places, references)
    assert [(doubt.row, doubt.suggestion) for doubt in doubts] == [(5, [1, 0])]


def test_reasons_of_one_row_are_joined() -> None:
    joined = merged(
        [
            [Doubt(4, (LABEL,), 0.9, 1)],
            [Doubt(4, (DUPLICATE,), 0.8, 0, 2), Doubt(2, (DUPLICATE,), 0.8, 1, 4)],
            [Doubt(9, (OUTLIER,), 2.0), Doubt(4, (OUTLIER,), 1.9)],
        ]
    )
    assert joined == [
        Doubt(4, (LABEL, DUPLICATE, OUTLIER), 0.9, 1, 2),
        Doubt(2, (DUPLICATE,), 0.8, 1, 4),
        Doubt(9, (OUTLIER,), 2.0),
    ]
