"""The domain classifier: its error rate where nothing has changed, and what it finds where something has."""

import numpy as np
import pytest

from toolkit.evaluation.shift import differences, features
from toolkit.evaluation.shift.domain import Domain, told_apart
from toolkit.evaluation.shift.exchange import division, draws_for, exchanged

LEVEL = 0.05


def domain_of(numbers: np.ndarray, reference: int, seed: int, groups: tuple | None = None) -> Domain:
    rows = division(reference, len(numbers) - reference, *(groups or (None, None)))
    kernels = {"one": features.of_numbers(numbers), "other": features.of_numbers(numbers[:, :2])}
    return told_apart(kernels, rows, exchanged(rows, 99, seed), 0.95, seed)


def test_equal_samples_raise_few_alarms() -> None:
    random = np.random.default_rng(0)
    found = [domain_of(random.normal(size=(120, 6)), 60, seed) for seed in range(200)]
    alarms = np.mean([domain.p <= LEVEL for domain in found])
    assert alarms <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 200)
    assert abs(np.mean([domain.p for domain in found]) - 0.5) < 0.08
    assert np.mean([domain.area.low <= 0.5 for domain in found]) >= 0.9


def grouped(random: np.random.Generator, shift: float = 0.0) -> np.ndarray:
    """30 + 30 groups of 4 rows, which have their group's mean."""
    means = random.normal(size=(60, 1, 3))
    means[30:] += shift
    return (means + 0.3 * random.normal(size=(60, 4, 3))).reshape(240, 3)


def test_groups_are_exchanged_whole() -> None:
    clusters = np.repeat(np.arange(30), 4)
    random = np.random.default_rng(1)
    samples = [grouped(random) for _ in range(150)]
    with_groups = [domain_of(numbers, 120, seed, (clusters, clusters)).p for seed, numbers in enumerate(samples)]
    as_rows = [domain_of(numbers, 120, seed).p for seed, numbers in enumerate(samples)]
    assert np.mean(np.array(with_groups) <= LEVEL) <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 150)
    assert np.mean(np.array(as_rows) <= LEVEL) > 0.3  # what ignoring the groups would do
    found = [domain_of(grouped(random, 2.0), 120, seed, (clusters, clusters)).p for seed in range(20)]
    assert np.mean(np.array(found) <= LEVEL) >= 0.9


def test_planted_shift_is_found() -> None:
    random = np.random.default_rng(2)
    found = []
    for seed in range(40):
        numbers = random.normal(size=(400, 6))
        numbers[200:, 0] += 0.8
        found.append(domain_of(numbers, 200, seed))
    assert np.mean([domain.p <= LEVEL for domain in found]) >= 0.95
    areas = np.array([domain.area.value for domain in found])
    truth = areas.mean()
    assert 0.65 < truth < 0.75  # without noise of training Φ(0.8 / √2) = 0.714
    held = np.mean([domain.area.low <= truth <= domain.area.high for domain in found])
    assert held >= 0.85
    assert all(domain.scores[200:].mean() > domain.scores[:200].mean() for domain in found)


def test_new_words_are_found_with_few_false_ones() -> None:
    random = np.random.default_rng(3)
    vocabulary = [f"word{number}" for number in range(60)]
    false, found = 0, 0
    for seed in range(40):
        texts = [" ".join(random.choice(vocabulary, 8)) for _ in range(200)]
        planted = [f"{text} refund" if row >= 100 and row % 4 == 0 else text for row, text in enumerate(texts)]
        rows = division(100, 100)
        new = exchanged(rows, 199, seed)
        for given in (texts, planted):
            words = features.words_of(given)
            assert words is not None
            (result,) = differences.tested([words.present], new)
            claimed = {words.names[number] for number in np.flatnonzero(result.p <= LEVEL)}
            found += given is planted and "refund" in claimed
            false += bool(claimed - {"refund"})
    assert found >= 38
    assert false <= 80 * LEVEL + 3 * np.sqrt(80 * LEVEL)


def test_properties_are_tested_by_rank() -> None:
    random = np.random.default_rng(4)
    values = np.exp(random.normal(size=(200, 2)))
    values[100:, 1] *= 3
    (result,) = differences.tested([differences.ranks(values)], exchanged(division(100, 100), 199, 0))
    assert result.p[0] > LEVEL
    assert result.p[1] <= LEVEL
    assert result.standardised[1] > 0


@pytest.mark.parametrize(("level", "least"), [(0.05, 999), (0.0005, 7999), (1e-9, 9999)])
def test_small_levels_need_more_draws(level: float, least: int) -> None:
    assert draws_for(level) == least


def test_texts_without_words_are_not_told_apart() -> None:
    assert not features.of_texts(["…", "?!"] * 20).any()
    assert features.words_of(["…", "?!"] * 20) is None
    assert not features.of_numbers(np.ones((10, 3))).any()
