"""Planted wrong labels are detected, and clean ones are not: rates over simulated test sets."""

import numpy as np
import pytest

from toolkit.evaluation.checks.label_errors import doubted
from toolkit.evaluation.statistics.label_noise import LEAST, LEVEL, noise

RUNS = 40


def test_set(kind: str, rows: int, wrong: float, seed: int, temperature: float = 1.0):
    """Draw a test set from classes with known probabilities; the model knows them but for its temperature."""
    rng = np.random.default_rng(seed)
    shares = {"two": [0.5, 0.5], "skewed": [0.95, 0.05], "hard": [0.25] * 4, "many": [0.1] * 10}[kind]
    truth = rng.choice(len(shares), rows, p=shares)
    centres = 4.5 * np.eye(len(shares)) * (0.75 if kind == "skewed" else 1.0)
    if kind == "hard":
        centres[3] = centres[2] + 0.7  # two classes that are nearly alike
    points = centres[truth] + rng.normal(size=(rows, len(shares)))
    logits = np.log(shares) - 0.5 * ((points[:, None] - centres) ** 2).sum(axis=-1)
    probabilities = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    turned = (truth + rng.integers(1, len(shares), rows)) % len(shares)
    return probabilities, np.where(rng.random(rows) < wrong, turned, truth)


test_set.__test__ = False  # type: ignore[attr-defined]


def fired(kind, rows, wrong, temperature=1.0):
    results = [noise(*test_set(kind, rows, wrong, seed, temperature)) for seed in range(RUNS)]
    return sum(item["p"] < LEVEL for item in results) / RUNS


@pytest.mark.parametrize("kind", ["two", "skewed", "hard", "many"])
@pytest.mark.parametrize("temperature", [1.0, 0.3, 2.0])
def test_clean_labels_are_left_alone(kind, temperature):
    assert fired(kind, 300, 0.0, temperature) <= 0.05


@pytest.mark.parametrize(("kind", "least"), [("two", 0.1), ("skewed", 0.7), ("hard", 0.9), ("many", 0.9)])
@pytest.mark.parametrize("wrong", [0.1, 0.2])
def test_planted_wrong_labels_are_noticed(kind, wrong, least):
    assert fired(kind, 600, wrong, 0.5) >= least


def test_the_rate_is_estimated():
    rates = [noise(*test_set("many", 2000, 0.1, seed))["rate"] for seed in range(10)]
    assert np.mean(rates) == pytest.approx(0.1, abs=0.02)


def test_weak_model_detects_no_label_noise():
    probabilities, labels = test_set("two", 600, 0.2, 0)
    assert noise(0.5 + 0.01 * (probabilities - 0.5), np.random.default_rng(0).integers(0, 2, 600))["p"] > LEVEL
    assert noise(probabilities[: LEAST - 1], labels[: LEAST - 1]) is None


@pytest.mark.parametrize(("kind", "wrong"), [("many", 0.1), ("hard", 0.1), ("many", 0.05), ("skewed", 0.1)])
def test_the_interval_holds_the_rate(kind, wrong):
    results = [noise(*test_set(kind, 600, wrong, seed, 0.7)) for seed in range(100)]
    covered = sum(item["low"] - 1e-9 <= wrong <= item["high"] + 1e-9 for item in results)
    assert covered >= 90  # of 100, at 95 %


@pytest.mark.parametrize("kind", ["two", "skewed", "hard", "many"])
def test_clean_labels_may_have_no_error(kind):
    """Suspect labels are there, as of any model that is not perfect, and none of them need be wrong."""
    none = 0
    for seed in range(RUNS):
        probabilities, labels = test_set(kind, 400, 0.0, seed)
        suspects = [row for row, _ in doubted(probabilities, labels)]
        result = noise(probabilities, labels, suspects=suspects)
        none += result["low"] == 0 and (not suspects or result["precision"]["low"] == 0)
    assert none >= 0.9 * RUNS


@pytest.mark.parametrize("kind", ["many", "hard"])
def test_the_expected_precision_is_that_of_the_planted_errors(kind):
    expected, real, inside = [], [], 0
    for seed in range(30):
        probabilities, labels = test_set(kind, 1000, 0.1, seed)
        _, clean = test_set(kind, 1000, 0.0, seed)
        suspects = [row for row, _ in doubted(probabilities, labels)]
        precision = noise(probabilities, labels, suspects=suspects)["precision"]
        expected.append(precision["value"])
        real.append(np.mean(labels[suspects] != clean[suspects]))
        inside += precision["low"] - 0.05 <= real[-1] <= precision["high"] + 0.05
    assert np.mean(expected) == pytest.approx(np.mean(real), abs=0.06)
    assert inside >= 26
