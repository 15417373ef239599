"""p-values are valid and not conservative, and agree with known tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toolkit.evaluation.statistics.significance import at_most, holm, mcnemar, mid_p


def test_counts_and_p_of_a_table_counted_by_hand():
    true = [0] * 30
    ours = [0] * 20 + [0] * 6 + [1] * 4
    theirs = [0] * 20 + [1] * 6 + [1] * 2 + [0] * 2
    result = mcnemar(ours, theirs, true)
    assert (result.only_ours, result.only_theirs) == (6, 2)
    exact = stats.binomtest(2, 8).pvalue
    assert result.p == pytest.approx(exact - stats.binom.pmf(2, 8, 0.5))


@given(st.integers(0, 400), st.integers(0, 400))
def test_mid_p_lies_below_the_exact_test_by_half_its_last_step(one, other):
    p, fewer, tosses = mid_p(one, other), min(one, other), one + other
    assert mid_p(other, one) == p
    assert 0 < p <= 1
    if one != other:
        expected = 2 * stats.binom.cdf(fewer, tosses, 0.5) - stats.binom.pmf(fewer, tosses, 0.5)
        assert p == pytest.approx(expected, rel=1e-8)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.01, 0.99))
def test_at_most_is_the_binomial_distribution(successes, trials, chance):
    assert at_most(successes, trials, chance) == pytest.approx(stats.binom.cdf(successes, trials, chance), abs=1e-9)


def test_many_examples_do_not_overflow():
    assert mid_p(50_000, 50_000) == 1
    assert mid_p(49_000, 51_000) == pytest.approx(2 * stats.norm.sf(2000 / np.sqrt(100_000)), rel=1e-2)


def test_under_the_null_p_values_are_uniform():
    """Two predictors that are right equally often: one in twenty p-values is below 0.05, one in two below 0.5."""
    random = np.random.default_rng(0)
    p_values = []
    for _ in range(3000):
        ours, theirs = (random.random(300) < 0.8 for _ in range(2))
        p_values.append(mcnemar(ours, theirs, np.ones(300, bool)).p)
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(np.array(p_values) <= level) == pytest.approx(level, abs=0.02)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_value_nor_their_order(p_values):
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)
    assert min(adjusted) == pytest.approx(min(1, len(p_values) * min(p_values)))
