"""Promises hold as often as they say, in simulations with a known truth."""

import numpy as np
import pytest

from toolkit.evaluation.statistics.promises.selective import kept, set_limits, sets_of, threshold

CLASSES = 4


def drawn(seed, rows, group=1, spread=0.0):
    """Draw probabilities and true classes; rows of a group share a difficulty."""
    random = np.random.default_rng(seed)
    groups = np.arange(rows) // group
    hard = random.normal(0, spread, groups.max() + 1)[groups]
    true = random.integers(0, CLASSES, rows)
    logits = random.normal(size=(rows, CLASSES))
    logits[np.arange(rows), true] += 2.2 + hard
    table = np.exp(1.4 * logits)
    return table / table.sum(axis=1, keepdims=True), true, groups


def error_above(limit, table, true):
    chosen = table.max(axis=1) >= limit
    return 1 - (table.argmax(axis=1) == true)[chosen].mean() if chosen.any() else 0.0


@pytest.mark.parametrize("most_error", [0.05, 0.1])
def test_the_promise_on_errors_is_broken_as_seldom_as_said(most_error):
    table, true, _ = drawn(10_000, 60_000)
    limits = [threshold(kept(*drawn(seed, 600)[:2]), most_error) for seed in range(150)]
    found = [limit for limit in limits if limit is not None]
    broken = sum(error_above(limit, table, true) > most_error for limit in found)
    assert len(found) > 100
    assert broken <= 0.1 * 150 + 2 * np.sqrt(0.1 * 0.9 * 150)
    answered = np.mean([(table.max(axis=1) >= limit).mean() for limit in found])
    assert answered > 0.3  # and it is of use


def test_groups_of_rows_are_allowed_for():
    table, true, _ = drawn(10_000, 200_000, 20, 1.0)
    outcomes = {}
    for name, groups in (("groups", True), ("rows", False)):
        limits = []
        for seed in range(120):
            own = drawn(seed, 800, 20, 1.0)
            limits.append(threshold(kept(own[0], own[1], own[2] if groups else None), 0.1))
        outcomes[name] = sum(limit is not None and error_above(limit, table, true) > 0.1 for limit in limits) / 120
    assert outcomes["groups"] <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 120)
    assert outcomes["rows"] > outcomes["groups"]


def test_sets_hold_the_true_class_as_often_as_said():
    covered, by_class = [], []
    for seed in range(200):
        table, true, _ = drawn(seed, 300)
        new, answer, _ = drawn(seed + 5000, 50)
        rows = kept(table, true)
        limits = set_limits(rows, 0.9, CLASSES)
        covered.append(sets_of(new, limits)[np.arange(50), answer].mean())
        own = sets_of(new, set_limits(rows, 0.9, CLASSES, by_class=True))[np.arange(50), answer]
        by_class.append(
            [own[answer == number].mean() if (answer == number).any() else np.nan for number in range(CLASSES)]
        )
    assert 0.89 <= np.mean(covered) <= 0.93
    assert (np.nanmean(by_class, axis=0) >= 0.88).all()


def test_too_few_rows_promise_nothing():
    table, true, groups = drawn(1, 30)
    rows = kept(table, true, groups)
    assert threshold(rows, 0.01) is None
    assert set_limits(rows, 0.99, CLASSES) is None
    few = set_limits(kept(table, np.where(true == 0, 1, true)), 0.8, CLASSES, by_class=True)
    assert few is not None
    assert few[0] == 0  # a class without rows is in every set


def test_many_rows_are_sampled_and_sets_are_never_empty():
    table, true, _ = drawn(2, 7000)
    rows = kept(table, true)
    assert len(rows["score"]) == 5000
    inside = sets_of(table, [1.0] * CLASSES)
    assert (inside.sum(axis=1) == 1).all()
    assert (inside.argmax(axis=1) == table.argmax(axis=1)).all()
