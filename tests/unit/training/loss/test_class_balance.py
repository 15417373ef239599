"""Skewed classes: the logit adjustment, its conditions, and its effect on rare classes in new rows."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import f1_score

from toolkit.config.settings import LossConfig
from toolkit.training.loss import class_balance
from toolkit.training.loss.objective import objective_for


def rows(rng, shares, count, distance=1.8):
    """Return (logits of the true posterior, labels) of Gaussian classes on the corners of a simplex."""
    labels = rng.choice(len(shares), count, p=shares)
    points = distance * np.eye(len(shares))[labels] + rng.standard_normal((count, len(shares)))
    density = norm.logpdf(points[:, None, :], loc=distance * np.eye(len(shares))).sum(axis=2)
    return density + np.log(shares), labels


def test_rare_classes_are_found_in_new_rows():
    gains, chosen = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        shares = np.array([0.85, 0.1, 0.05])
        logits, labels = rows(rng, shares, 800, distance=1.0)
        strength = class_balance.choose(logits, labels, seed)
        fresh, truth = rows(rng, shares, 4000, distance=1.0)
        shifted = fresh - strength * class_balance.log_shares(labels, 3)
        f1 = [f1_score(truth, each.argmax(axis=1), average="macro") for each in (fresh, shifted)]
        gains.append(f1[1] - f1[0])
        chosen.append(strength)
    assert sum(strength > 0 for strength in chosen) >= 12
    assert np.mean(gains) > 0.03
    assert min(gains) > -0.02


def test_adjustment_is_rare_for_balanced_classes():
    """Logits that hold nothing but noise beside the shares: macro F1 changes by chance alone."""
    taken = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labels = (rng.random(300) < 0.3).astype(np.int64)
        logits = np.log([0.7, 0.3]) + 0.3 * rng.standard_normal((300, 2)) + [0.0, 0.9]
        taken += class_balance.choose(logits, labels, seed) > 0
    assert taken <= 15


def test_even_classes_are_left_alone():
    logits, labels = rows(np.random.default_rng(0), np.full(4, 0.25), 500)
    assert class_balance.choose(logits, labels, 0) == 0.0


def test_a_rare_class_in_few_rows_decides_nothing():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 38 + [1] * 2)
    assert class_balance.choose(rng.standard_normal((40, 2)) + np.array([3.0, 0.0]), labels, 0) == 0.0


def test_the_loss_is_that_of_the_adjusted_logits():
    labels = np.array([0, 0, 0, 1], np.int64)
    objective = objective_for(LossConfig(), ("a", "b"), labels, 0.5)
    logits = torch.randn(4, 2)
    shift = torch.tensor(0.5 * class_balance.log_shares(labels, 2), dtype=torch.float32)
    outputs = type("Outputs", (), {"logits": logits, "loss": None})
    expected = torch.nn.functional.cross_entropy(logits + shift, torch.tensor(labels))
    assert objective.mean(outputs, {"labels": torch.tensor(labels)}).item() == pytest.approx(expected.item(), abs=1e-6)


def test_nothing_to_adjust_is_the_models_own_loss():
    assert objective_for(LossConfig(), ("a", "b"), np.array([0, 1]), 0.0).name == "the model's own loss"
