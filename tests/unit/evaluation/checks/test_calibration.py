"""Calibrated models pass, and miscalibrated ones are found."""

import numpy as np
import pytest
from scipy import optimize

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation.checks import calibration
from toolkit.evaluation.statistics import calibration_error
from toolkit.evaluation.statistics import temperature as temperature_

CONFIG = EvaluationConfig(resamples=200)


def drawn(seed: int, size: int, truth=lambda sure: sure) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences between a half and one, and which are right, by the accuracy of `truth`."""
    random = np.random.default_rng([5, seed])
    sure = 0.5 + 0.5 * random.beta(5, 1.5, size)
    return sure, (random.random(size) < truth(sure)).astype(float)


def both(sure: np.ndarray) -> np.ndarray:
    return np.stack([1 - sure, sure], axis=1)


def test_the_plain_error_is_a_weighted_mean_of_gaps():
    sure = np.repeat([0.6, 0.7, 0.8, 0.9], 50)
    right = np.concatenate([np.arange(50) < count for count in (30, 25, 40, 50)]).astype(float)
    assert calibration_error.plain_error(sure, right) == pytest.approx((0 + 0.2 + 0 + 0.1) / 4)


@pytest.mark.parametrize(
    "truth",
    [
        lambda c: c,
        lambda c: c - 0.03,
        lambda c: c - 0.1,
        lambda c: 0.5 + 0.8 * (c - 0.5),
        lambda c: c - 0.04 * (c > 0.85),
    ],
    ids=["perfect", "three points", "ten points", "too steep", "too sure at the top"],
)
def test_intervals_of_the_calibration_error_hold_the_true_error_of_the_bins(monkeypatch, truth):
    monkeypatch.setattr(calibration_error, "REDRAWS", 100)
    held, result, plain = [], [], []
    for seed in range(200):
        sure, right = drawn(seed, 400, truth)
        number = calibration_error.bin_of(sure)
        true_error = np.abs(np.bincount(number, sure - truth(sure))).sum() / len(sure)
        interval = calibration_error.calibration_error(sure, right, 0.95, seed)
        held.append(interval.low <= true_error <= interval.high)
        result.append(interval.value - true_error)
        plain.append(calibration_error.plain_error(sure, right) - true_error)
    assert np.mean(held) >= 0.92
    assert abs(np.mean(result)) <= max(abs(np.mean(plain)), 0.006)  # of large errors a little too much is taken off


def test_a_calibrated_model_is_refused_as_rarely_as_promised(monkeypatch):
    monkeypatch.setattr(calibration_error, "REDRAWS", 200)
    p_values = np.array([calibration_error.calibrated_p(*drawn(seed, 300), seed) for seed in range(300)])
    assert np.mean(p_values < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(p_values < 0.5) <= 0.58  # of two tests the smaller p, doubled: rather too large than too small


def test_a_planted_overconfident_model_is_found():
    sure, right = drawn(0, 800, lambda c: c - 0.15)
    result = calibration.section(both(sure), np.where(right == 1, 1, 0), CONFIG, 0, None)
    assert result["p"] < 0.01
    assert result["ece"]["low"] > 0.08
    assert result["mean_confidence"] - result["accuracy"] == pytest.approx(0.15, abs=0.04)
    assert sum(row["count"] for row in result["bins"]) == 800
    assert len(result["bins"]) == 10


def test_the_temperature_is_the_one_of_least_loss():
    random = np.random.default_rng(1)
    logits = random.normal(size=(500, 3)) * 2
    weights = np.exp(logits / 2.5)
    true = [random.choice(3, p=row / row.sum()) for row in weights]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    result = temperature_.fit_temperature(probabilities, true)

    def loss(temperature):
        return -np.log(temperature_.scaled(probabilities, temperature)[np.arange(500), true]).mean()

    best = optimize.minimize_scalar(loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-6})
    assert result == pytest.approx(best.x, rel=1e-3)
    assert result == pytest.approx(2.5, rel=0.2)
    assert temperature_.scaled(probabilities, 1.0) == pytest.approx(probabilities)
    assert temperature_.scaled(probabilities, result).argmax(axis=1).tolist() == probabilities.argmax(axis=1).tolist()


def test_without_a_mistake_there_is_no_temperature_to_fit():
    assert temperature_.fit_temperature([[0.9, 0.1], [0.2, 0.8]], [0, 1]) is None


def simulated(seed: int, rows: int, temperature: float, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions of a model whose logits are `temperature` times too large, and the truth."""
    random = np.random.default_rng([7, seed])
    logits = random.normal(size=(rows, classes)) * 1.5
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = (honest.cumsum(axis=1) > random.random((rows, 1))).argmax(axis=1)
    return temperature_.scaled(honest, 1 / temperature), true


@pytest.mark.parametrize("rows", [20, 42, 100, 400])
def test_calibrated_models_are_not_made_worse(rows):
    """On fresh rows, over models that are calibrated as they are; a temperature of no use is nearly always refused."""
    change, errors, kept = [], [], 0
    for seed in range(100):
        fit = temperature_.choose_temperature(*simulated(seed, rows, 1.0), 0.95, seed)
        assert fit.kept or fit.reason
        kept += fit.kept
        if fit.kept:
            probabilities, true = simulated(seed + 1000, 2000, 1.0)
            after = temperature_.scaled(probabilities, fit.temperature)
            change.append(np.log(probabilities[np.arange(2000), true] / after[np.arange(2000), true]).mean())
            right = (probabilities.argmax(axis=1) == true).astype(float)
            errors.append(
                np.subtract(
                    *(calibration_error.plain_error(part.max(axis=1), right) for part in (after, probabilities))
                )
            )
    assert kept <= 5
    assert max(change, default=0.0) < 0.02
    assert max(errors, default=0.0) < 0.05
    if rows == 42:  # fitted without the check, it does harm
        plain = [temperature_.fit_temperature(*simulated(seed, rows, 1.0)) for seed in range(100)]
        assert np.mean([item < 0.8 or item > 1.25 for item in plain if item is not None]) > 0.2


def test_a_temperature_that_helps_is_kept():
    for seed in range(10):
        fit = temperature_.choose_temperature(*simulated(seed, 400, 2.0), 0.95, seed)
        assert fit.kept
        assert fit.temperature == pytest.approx(2, rel=0.35)
        assert 0 < fit.gain.low < fit.gain.value


def test_few_mistakes_fit_no_temperature():
    probabilities = np.array([[0.9, 0.1]] * 50 + [[0.4, 0.6]] * 9)
    fit = temperature_.choose_temperature(probabilities, [0] * 59, 0.95, 0)
    assert (fit.kept, fit.rows, fit.gain) == (False, 59, None)
    assert "9 of these rows" in fit.reason
    assert temperature_.choose_temperature([[0.9, 0.1]], [0], 0.95, 0).temperature is None


def test_scaling_corrects_calibration():
    random = np.random.default_rng(2)
    logits = random.normal(size=(2000, 2)) * 3
    sharp = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    honest = temperature_.scaled(sharp, 3.0)
    true = (random.random(2000) < honest[:, 1]).astype(int)
    temperature = temperature_.fit_temperature(sharp[1000:], true[1000:])
    result = calibration.section(sharp[:1000], true[:1000], CONFIG, 0, temperature)
    assert result["scaled"]["ece"]["value"] < 0.05 < result["ece"]["low"]
    assert result["scaled"]["log_loss"]["value"] < result["log_loss"]["value"]
    assert result["temperature"] == pytest.approx(3, rel=0.25)


def test_one_confidence_for_all_makes_one_bin():
    result = calibration.section([[0.4, 0.6]] * 30, [1] * 18 + [0] * 12, CONFIG, 0, None)
    assert [row["count"] for row in result["bins"]] == [30]
    assert result["ece"]["low"] == 0
    assert result["p"] > 0.5


def test_the_error_of_papers_has_bins_of_equal_width_that_hold_their_upper_end():
    sure, right = drawn(3, 400)
    sure[:3], right[:3] = (1.0, 0.6, 2 / 3), (0, 1, 0)
    expected = 0.0
    for number in range(15):
        inside = (sure > number / 15) & (sure <= (number + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(sure[inside].mean() - right[inside].mean())
    assert calibration_error.equal_width_error(sure, right) == pytest.approx(expected)
    assert calibration_error.equal_width_error(np.array([0.6, 0.6]), np.array([1.0, 0.0])) == pytest.approx(0.1)
