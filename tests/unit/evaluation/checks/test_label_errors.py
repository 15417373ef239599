"""Planted label errors are found, and come before the labels that are merely hard."""

import numpy as np
import pyarrow as pa
import pytest

from toolkit.evaluation.checks import label_errors
from toolkit.tasks.inputs.text import TEXT
from toolkit.tasks.task import Column


def planted(seed=0, size=600, classes=3, share=0.05):
    """Return probabilities of a good model, given labels, and which of these were changed."""
    random = np.random.default_rng(seed)
    true = random.integers(0, classes, size)
    logits = random.normal(size=(size, classes)) + 4 * np.eye(classes)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels, changed = true.copy(), random.random(size) < share
    labels[changed] = (labels[changed] + random.integers(1, classes, changed.sum())) % classes
    return probabilities, labels, changed, true


@pytest.mark.parametrize("seed", range(5))
def test_planted_label_errors_come_first(seed):
    probabilities, labels, changed, true = planted(seed)
    result = label_errors.doubted(probabilities, labels)
    first = [row for row, _ in result[: changed.sum()]]
    assert np.mean(changed[first]) > 0.9
    assert np.mean(np.isin(np.flatnonzero(changed), [row for row, _ in result])) > 0.6
    assert np.mean([other == true[row] for row, other in result[: changed.sum()]]) > 0.9


def test_labels_that_the_model_agrees_with_are_not_doubted():
    assert label_errors.doubted([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]], [0, 0, 1]) == []


def test_counted_by_hand():
    """Self-confidence of class 0 is 0.55 (0.9, 0.2), of class 1 it is 0.75 (0.9, 0.6)."""
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.4, 0.6]]
    assert label_errors.doubted(probabilities, [0, 0, 1, 1]) == [(1, 1)]


def test_a_class_without_examples_is_never_suggested():
    assert label_errors.doubted([[0.1, 0.2, 0.7], [0.3, 0.6, 0.1]], [0, 1]) == []


def test_the_section_names_the_place():
    rows = pa.Table.from_pylist([{"text": f"t{n}", "_file": "f.csv", "_row": n + 2} for n in range(4)])
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.4, 0.6]]
    found = label_errors.section(probabilities, [0, 0, 1, 1], rows, ("bad", "good"), [Column("text", (), TEXT)])
    assert found["doubted"] == 1
    (example,) = found["examples"]
    assert (example["file"], example["row"], example["text"]) == ("f.csv", 3, "t1")
    assert (example["label"], example["suggestion"]) == ("bad", "good")
    assert (example["label_probability"], example["suggestion_probability"]) == (0.2, 0.8)
