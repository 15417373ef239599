"""Weighted, focused and smoothed losses, each against its formula written out; the pieces add up to the whole."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.errors import refused
from toolkit.config.settings import LossConfig
from toolkit.data.batching.batch import Ragged
from toolkit.errors import ConfigError
from toolkit.training.loss.objective import OWN, class_weights, count_items, cross_entropy, objective_for

NAMES = ("sad", "glad", "mad")
LABELS = np.array([0, 0, 0, 1, 1, 2, -100], np.int32)


def outputs(*shape: int, seed: int = 0) -> SimpleNamespace:
    return SimpleNamespace(logits=3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


def batch(*labels) -> dict[str, torch.Tensor]:
    return {"labels": torch.tensor(labels)}


def by_hand(logits, labels, weights, gamma, smoothing) -> tuple[float, float]:
    """(Sum of the loss, sum of the weights), item by item in double precision."""
    total = weight = 0.0
    for row, label in zip(logits.reshape(-1, 3).double(), labels.reshape(-1).tolist(), strict=True):
        if label == -100:
            continue
        log_p = row.log_softmax(0)
        target = [smoothing / 3 + (1 - smoothing) * (c == label) for c in range(3)]
        loss = -sum(target[c] * weights[c] * log_p[c].item() for c in range(3))
        total += loss * (1 - log_p[label].exp().item()) ** gamma
        weight += weights[label]
    return total, weight


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_its_formula(weights, gamma, smoothing):
    objective = cross_entropy(weights, gamma, smoothing)
    for text, given_batch in (
        (outputs(4, 3), batch(0, 1, 2, 1)),
        (outputs(2, 3, 3), batch([0, -100, 2], [1, 1, -100])),  # labels of tokens
    ):
        total, weight = by_hand(text.logits, given_batch["labels"], weights or [1, 1, 1], gamma, smoothing)
        assert objective.weight(given_batch) == pytest.approx(weight)
        assert objective.mean(text, given_batch).item() == pytest.approx(total / weight, rel=1e-5)


@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=12),
    st.integers(1, 11),
    st.lists(st.floats(0.1, 10), min_size=3, max_size=3),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.sampled_from([0.0, 0.1]),
)
def test_the_pieces_of_a_step_weigh_as_much_as_the_whole(labels, cut, weights, gamma, smoothing):
    objective = cross_entropy(weights, gamma, smoothing)
    cut = min(cut, len(labels) - 1)
    logits = outputs(len(labels), 3).logits
    pieces = [
        (SimpleNamespace(logits=logits[part]), {"labels": torch.tensor(labels)[part]})
        for part in (slice(0, cut), slice(cut, None))
    ]
    total = sum(objective.weight(b) for _, b in pieces)
    added = sum(objective.mean(o, b) * objective.weight(b) / total for o, b in pieces)
    whole = objective.mean(SimpleNamespace(logits=logits), batch(*labels))
    torch.testing.assert_close(added, whole, rtol=1e-5, atol=1e-6)


def test_focal_loss_has_finite_gradients():
    logits = torch.tensor([[60.0, 0.0, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    loss = cross_entropy(None, 0.5, 0.0).mean(SimpleNamespace(logits=logits), batch(0, 0))
    loss.backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0].abs().max() < 1e-6 < logits.grad[1].abs().max()


def test_default_objective_is_the_models_loss():
    assert objective_for(LossConfig(), NAMES, LABELS) is OWN
    output = SimpleNamespace(loss=torch.tensor(0.7))
    assert OWN.mean(output, batch(0, 1)) is output.loss
    assert OWN.weight(batch(0, -100)) == 1


def test_counted_items_are_labels_that_the_loss_sees():
    assert count_items(batch([1, -100], [0, 2])) == 3
    assert count_items(batch(0, 1)) == 2
    assert count_items(batch(0.5, -100.0)) == 2  # numbers to predict, not classes


def test_balanced_weights_equalize_classes():
    weights = class_weights("balanced", NAMES, LABELS)
    assert weights == pytest.approx([6 / 9, 6 / 6, 6 / 3])  # as scikit-learn's "balanced"
    assert [w * n for w, n in zip(weights, (3, 2, 1), strict=True)] == pytest.approx([2, 2, 2])
    assert class_weights("balanced", (*NAMES, "never seen"), LABELS) == pytest.approx([*weights, 1.0])


def test_labels_of_words_are_counted_word_by_word():
    ragged = Ragged(LABELS, np.array([0, 4, 7]))
    objective = objective_for(LossConfig(class_weights="balanced"), NAMES, ragged)
    assert objective.weight(batch([0, 1, -100])) == pytest.approx(6 / 9 + 1)
    assert objective.name == "cross entropy, weighted by class"


def test_weights_by_name():
    assert class_weights({"mad": 3}, NAMES, LABELS) == [1.0, 1.0, 3.0]
    with refused(ConfigError, "config.unknown-class", "madd", "`mad`"):
        class_weights({"madd": 3}, NAMES, LABELS)
    with refused(ConfigError, "config.not-for-task", "`loss.class_weights`"):
        class_weights("balanced", (), LABELS)


def test_numbers_to_predict_have_no_class_to_weigh():
    with refused(ConfigError, "config.not-for-task", "`loss`"):
        objective_for(LossConfig(label_smoothing=0.1), (), np.array([0.5, 1.5]))


def test_objective_is_named():
    assert cross_entropy(None, 0, 0.1).name == "cross entropy, labels smoothed by 0.1"
    assert cross_entropy([1.0], 2, 0).name == "focal loss (γ 2), weighted by class"
