"""Estimates without labels: the shares of the classes, and the accuracy, where their assumptions hold and where not."""

import numpy as np
import pytest

from toolkit.evaluation.shift import accuracy, class_shares, periods
from toolkit.evaluation.shift.class_shares import Predicted
from toolkit.evaluation.shift.periods import Look

CONFUSION = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.25, 0.7]])
SETTINGS = {"confidence": 0.95, "resamples": 200, "seed": 0}


def labelled(random: np.random.Generator, shares: list[float], rows: int) -> tuple[np.ndarray, np.ndarray]:
    truth = random.choice(3, rows, p=shares)
    return truth, (random.random(rows)[:, None] > CONFUSION[truth].cumsum(axis=1)).sum(axis=1)


def test_class_shares_are_estimated_under_label_shift() -> None:
    random = np.random.default_rng(0)
    held, estimates = [], []
    for seed in range(60):
        truth, reference = labelled(random, [1 / 3, 1 / 3, 1 / 3], 600)
        _, new = labelled(random, [0.7, 0.2, 0.1], 500)
        found = class_shares.estimated(
            truth, Predicted(reference), Predicted(new), 3, confidence=0.95, resamples=200, seed=seed
        )
        estimates.append([interval.value for interval in found])
        held += [interval.low <= share <= interval.high for interval, share in zip(found, [0.7, 0.2, 0.1], strict=True)]
    assert np.abs(np.mean(estimates, axis=0) - [0.7, 0.2, 0.1]).max() < 0.02
    assert np.mean(held) >= 0.9
    assert np.mean(new == 0) < 0.65  # the predictions alone are further from 0.7


def test_class_shares_need_rows_of_each_class() -> None:
    truth = np.repeat([0, 1], [50, class_shares.LEAST_ROWS - 1])
    assert "rare" in class_shares.refusal(truth, ["often", "rare"])
    assert class_shares.refusal(np.repeat([0, 1], 50), ["one", "other"]) == ""
    assert class_shares.refusal(truth, [str(number) for number in range(99)]) != ""


def test_grouped_rows_have_wider_shares() -> None:
    random = np.random.default_rng(1)
    truth, reference = labelled(random, [1 / 3, 1 / 3, 1 / 3], 600)
    new = np.repeat(random.choice(3, 40), 10)
    groups = np.repeat(np.arange(40), 10)
    alone = class_shares.estimated(truth, Predicted(reference), Predicted(new), 3, **SETTINGS)
    together = class_shares.estimated(truth, Predicted(reference), Predicted(new, groups), 3, **SETTINGS)
    assert together[0].high - together[0].low > 1.5 * (alone[0].high - alone[0].low)


def decisions(
    random: np.random.Generator, rows: int, spread: float, temperature: float, flipped: float = 0.0
) -> accuracy.Decisions:
    """Of a binary classifier; a small spread of the inputs makes them hard, a low temperature the model too sure."""
    logits = random.normal(0, spread, rows)
    truth = random.random(rows) < 1 / (1 + np.exp(-2 * logits))
    probability = 1 / (1 + np.exp(-2 * logits / temperature))
    right = ((probability > 0.5) == truth) != (random.random(rows) < flipped)
    return accuracy.Decisions(np.maximum(probability, 1 - probability), right.astype(np.float64))


def threshold_estimate(known: accuracy.Decisions, new: accuracy.Decisions) -> float:
    """The estimate of Garg et al. 2022, for comparison."""
    assert known.right is not None
    return float((new.confidence > np.quantile(known.confidence, 1 - known.right.mean())).mean())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("spread", [1.0, 2.0, 3.0])
def test_accuracy_is_estimated_where_rows_are_harder_or_easier(spread: float, temperature: float) -> None:
    random = np.random.default_rng(2)
    errors, held, others = [], [], []
    for seed in range(25):
        known = decisions(random, 500, 2.0, temperature)
        new = decisions(random, 800, spread, temperature)
        truth = decisions(random, 100_000, spread, temperature).right.mean()
        found = accuracy.estimated(known, new, confidence=0.95, resamples=100, seed=seed)
        errors.append(found.value - truth)
        held.append(found.low <= truth <= found.high)
        others.append(threshold_estimate(known, new) - truth)
    assert abs(np.mean(errors)) < 0.02
    assert np.mean(held) >= 0.85
    if spread == 1.0:
        assert abs(np.mean(others)) > 0.02


def test_accuracy_estimate_misses_confident_mistakes() -> None:
    random = np.random.default_rng(3)
    known, new = decisions(random, 500, 2.0, 1.0), decisions(random, 800, 2.0, 1.0, flipped=0.3)
    found = accuracy.estimated(known, new, confidence=0.95, resamples=100, seed=0)
    assert new.right is not None
    assert found.low > new.right.mean()


def test_certain_model_has_an_interval() -> None:
    sure = accuracy.Decisions(np.ones(50), np.ones(50))
    found = accuracy.estimated(sure, accuracy.Decisions(np.ones(40)), confidence=0.95, resamples=50, seed=0)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.95


def test_grouped_decisions_have_wider_accuracy() -> None:
    random = np.random.default_rng(4)
    known, new = decisions(random, 500, 2.0, 1.0), decisions(random, 40, 1.5, 1.0)
    repeated = np.repeat(new.confidence, 10)
    groups = np.repeat(np.arange(40), 10)
    alone = accuracy.estimated(known, accuracy.Decisions(repeated), **SETTINGS)
    together = accuracy.estimated(known, accuracy.Decisions(repeated, None, groups), **SETTINGS)
    assert together.high - together.low > 1.3 * (alone.high - alone.low)
    means = [accuracy.mean_confidence(accuracy.Decisions(repeated, None, g), 0.95) for g in (None, groups)]
    assert means[1].high - means[1].low > 2 * (means[0].high - means[0].low)


def test_looks_of_a_period_share_the_error() -> None:
    looks: list[Look] = []
    for _ in range(25):
        looks.append(periods.next_look(looks, 0.05, 10))
    assert [look.period for look in looks] == [1] * 10 + [2] * 10 + [3] * 5
    assert [look.number for look in looks[:10]] == list(range(1, 11))
    for period in (1, 2):
        assert sum(look.level for look in looks if look.period == period) == pytest.approx(0.05)


def test_other_number_of_looks_does_not_spend_more() -> None:
    looks = [Look(1, 1, 0.02), Look(1, 2, 0.02)]
    assert periods.next_look(looks, 0.05, 2).period == 2
    assert periods.next_look(looks, 0.05, 10) == Look(1, 3, 0.005)
