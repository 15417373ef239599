"""Each metric of probabilities against scikit-learn's own figure, whole and resampled."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from toolkit.evaluation import scores
from toolkit.metrics import as_module
from toolkit.metrics.probability import METRICS

CLASSES = ("a", "b", "c", "d", "e", "f", "g")


def sample(seed: int, classes: int, size: int = 60, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and truth of a middling model; `ties` rounds, so that some examples share a score."""
    random = np.random.default_rng(seed)
    true = np.concatenate([np.arange(classes), random.integers(0, classes, size - classes)])
    logits = random.normal(size=(size, classes)) + 1.5 * np.eye(classes)[true]
    probabilities = np.exp(logits.round(0) if ties else logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True), true


def theirs(name: str, true: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    classes = probabilities.shape[1]
    onehot = np.eye(classes)[true]
    if name == "auroc":
        chosen = probabilities[:, 1] if classes == 2 else probabilities
        return reference.roc_auc_score(true, chosen, multi_class="ovr", average="macro", sample_weight=weights)
    if name == "average_precision":
        if classes == 2:
            return reference.average_precision_score(true, probabilities[:, 1], sample_weight=weights)
        return reference.average_precision_score(onehot, probabilities, average="macro", sample_weight=weights)
    if name.startswith("top"):
        return reference.top_k_accuracy_score(true, probabilities, k=int(name[-1]), labels=range(classes))
    if name == "brier":
        return float(np.mean([((row - item) ** 2).sum() for row, item in zip(probabilities, onehot, strict=True)]))
    return reference.log_loss(true, probabilities, labels=range(classes))


@pytest.mark.parametrize("name", METRICS)
@given(st.integers(0, 10_000), st.integers(2, 7), st.booleans())
def test_the_figure_is_scikit_learns(name, seed, classes, ties):
    probabilities, true = sample(seed, classes, ties=ties)
    if classes < METRICS[name].least_classes:
        return
    result = as_module(METRICS[name], CLASSES[:classes]).compute(
        predictions=probabilities.tolist(), references=true.tolist()
    )
    assert result[name] == pytest.approx(theirs(name, true, probabilities), abs=1e-9)


@pytest.mark.parametrize("name", ["auroc", "average_precision"])
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_weighted_examples_count_as_often(name, seed, classes):
    probabilities, true = sample(seed, classes)
    weights = np.random.default_rng(seed).integers(1, 4, (2, len(true)))
    result = METRICS[name].prepare(probabilities, true, CLASSES)(weights.astype(float))
    assert result == pytest.approx([theirs(name, true, probabilities, row) for row in weights], abs=1e-9)


def test_undefined_areas_are_left_out():
    columns = {"prediction": [0, 0, 1], "probabilities": [[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]]}
    config = scores.EvaluationConfig(resamples=100)
    one_class = scores.score(columns, [0, 0, 0], ("accuracy", "auroc"), ("a", "b"), config, seed=0)
    assert [figure["name"] for figure in one_class] == ["accuracy"]
    without = scores.score({"prediction": [0, 0, 1]}, [0, 0, 1], ("accuracy", "auroc"), ("a", "b"), config, seed=0)
    assert [figure["name"] for figure in without] == ["accuracy"]
    few = scores.score(columns, [0, 0, 1], ("auroc", "top_3"), ("a", "b"), config, seed=0)
    assert [(figure["name"], figure["value"]) for figure in few] == [("auroc", 1.0)]
