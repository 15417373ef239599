"""Cross-validation of training methods: folds, temperature, and the choice."""

from dataclasses import replace

import numpy as np
import pytest

from toolkit.training.adaptation import selection
from toolkit.training.adaptation.selection import OutOfFold

RANDOM = np.random.default_rng(0)
LABELS = np.arange(60) % 3
FOLDS = (np.arange(60) // 3) % 3


def candidate(strength, noise=None, done=(0, 1, 2)):
    """Logits that favour the true class by `strength`."""
    noise = RANDOM.standard_normal((60, 3)) if noise is None else noise
    return OutOfFold(noise + strength * np.eye(3)[LABELS], LABELS, FOLDS, done)


def test_folds_hold_each_class_evenly_and_keep_groups_together():
    groups = np.arange(60) // 2
    labels = (groups // 2) % 3
    folds = selection.folds_of(labels, groups, 3, seed=1)
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=3)
        assert counts.max() - counts.min() <= 2
    assert all(len(set(folds[groups == group])) == 1 for group in range(30))
    assert (folds == selection.folds_of(labels, groups, 3, seed=1)).all()


@pytest.mark.parametrize("rows", [2, 3])
def test_rare_classes_are_spread_over_folds(rows):
    labels = np.array([0] * 12 + [1] * rows)
    folds = selection.folds_of(labels, np.arange(len(labels)), 3, seed=0)
    assert np.bincount(folds[labels == 1], minlength=3).max() == 1


def test_temperature_minimises_the_loss():
    logits = 4.0 * candidate(1.0).logits
    best = selection.temperature(logits, LABELS)
    assert 2.0 < best <= 8.0

    def loss(value):
        return -replace(candidate(0.0), logits=logits / value, done=(0,)).logits[np.arange(60), LABELS].mean() + (
            np.log(np.exp(logits / value).sum(axis=1)).mean()
        )

    assert loss(best) < min(loss(best / 1.3), loss(best * 1.3))


def test_a_fold_is_scaled_by_the_others_alone():
    first = candidate(1.0)
    labels = np.where(FOLDS == 0, (LABELS + 1) % 3, LABELS)
    other = replace(first, labels=labels)
    np.testing.assert_array_equal(first.scaled()[FOLDS == 0], other.scaled()[FOLDS == 0])
    assert not np.allclose(first.scaled()[FOLDS == 1], other.scaled()[FOLDS == 1])


def test_log_likelihood_does_not_depend_on_the_scale_of_logits():
    first = candidate(1.0)
    other = replace(first, logits=1.5 * first.logits)
    assert other.log_likelihoods().mean() == pytest.approx(first.log_likelihoods().mean(), abs=0.01)


def test_equal_candidates_leave_the_cheapest():
    first = candidate(1.0)
    assert selection.choose({"cheap": first, "costly": first}) == "cheap"


def test_better_candidate_is_chosen_in_any_order():
    noise = RANDOM.standard_normal((60, 3))
    worse, better = candidate(0.5, noise), candidate(3.0, noise)
    assert selection.choose({"cheap": worse, "costly": better}) == "costly"
    assert selection.choose({"cheap": better, "costly": worse}) == "cheap"


def test_candidate_behind_is_dropped_after_one_fold():
    noise = RANDOM.standard_normal((60, 3))
    results = {"good": candidate(3.0, noise, done=(0,)), "bad": candidate(0.2, noise, done=(0,))}
    assert selection.is_behind("bad", results)
    assert not selection.is_behind("good", results)
    assert results["bad"].standard_error() is None
    assert (FOLDS[results["bad"].known] == 0).all()


def test_repeated_rows_do_not_make_a_difference_more_certain():
    """Four copies of each row, in a group, have the standard error of the rows alone."""
    methods, groups, errors = [candidate(1.0), candidate(2.0)], np.arange(60).repeat(4), {}
    for name, copies, clusters in (("alone", 1, None), ("rows", 4, None), ("groups", 4, groups)):
        both = [
            OutOfFold(m.logits.repeat(copies, axis=0), LABELS.repeat(copies), FOLDS.repeat(copies), m.done, clusters)
            for m in methods
        ]
        errors[name] = selection.difference(*both)[1]
    assert errors["groups"] == pytest.approx(errors["alone"], rel=0.01)
    assert errors["rows"] == pytest.approx(errors["alone"] / 2, rel=0.02)
