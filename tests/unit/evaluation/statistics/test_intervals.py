"""Intervals have their nominal coverage, and agree with known cases."""

import tracemalloc
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toolkit.evaluation.statistics import intervals
from toolkit.evaluation.statistics.weighted import bootstrap_weighted
from toolkit.metrics.classification import METRICS
from toolkit.metrics.regression import METRICS as NUMBERS
from toolkit.metrics.translation import METRICS as TRANSLATION

LABELS = ("a", "b", "c")
# Probability of each (truth, prediction): an unbalanced task with unequal errors.
JOINT = np.array([[0.30, 0.07, 0.03], [0.05, 0.20, 0.05], [0.06, 0.04, 0.20]])
ACCURACY, F1 = METRICS["accuracy"], METRICS["f1"]
TRUTH = {
    "accuracy": float(np.trace(JOINT)),
    "f1": float(F1.aggregate(np.concatenate([np.diag(JOINT), JOINT.sum(axis=0), JOINT.sum(axis=1)]))),
}


def sample(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and truth of `size` examples."""
    cells = np.random.default_rng([1, seed]).choice(9, size=size, p=JOINT.ravel())
    return cells % 3, cells // 3


share = ACCURACY.aggregate


def rights(right: int, wrong: int) -> np.ndarray:
    return np.array([[1.0, 1.0]] * right + [[0.0, 1.0]] * wrong)


def bootstrap(statistics, aggregate=share, confidence=0.95, resamples=500, seed=0):
    return intervals.bootstrap(statistics, aggregate, confidence=confidence, resamples=resamples, seed=seed)


# --- coverage -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [ACCURACY, F1], ids=lambda metric: metric.name)
def test_of_a_hundred_intervals_about_ninety_five_hold_the_truth(metric):
    held = []
    for seed in range(600):
        statistics = metric.statistics(*sample(seed, 120), LABELS)
        result = bootstrap(statistics, metric.aggregate, resamples=400, seed=seed)
        held.append(result.low <= TRUTH[metric.name] <= result.high)
    assert 0.93 <= np.mean(held) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accuracy", "f1", "f1_weighted", "matthews", "ter"])
def test_coverage_of_every_figure_that_is_made_of_sums(name):
    """Many more simulations, so that the share itself is known to half a point; TER's sums are skewed ratios."""
    counts = np.concatenate([np.diag(JOINT), JOINT.sum(axis=0), JOINT.sum(axis=1)])
    metric = TRANSLATION["ter"] if name == "ter" else METRICS[name]
    share_of_right = np.array([np.trace(JOINT), 1.0])
    truth = 100 * 3 / 11 if name == "ter" else metric.aggregate(share_of_right if name == "accuracy" else counts)
    held = []
    for seed in range(2000):
        if name == "ter":
            random = np.random.default_rng([4, seed])
            words = 1 + random.poisson(10, 200)
            statistics = np.stack([random.poisson(words * random.exponential(3 / 11, 200)), words], axis=1).astype(
                float
            )
        else:
            statistics = metric.statistics(*sample(seed, 200), LABELS)
        result = bootstrap(statistics, metric.aggregate, resamples=500, seed=seed)
        held.append(result.low <= truth <= result.high)
    assert 0.93 <= np.mean(held) <= 0.97, np.mean(held)


def test_interval_has_the_given_confidence():
    results = []
    for seed in range(300):
        interval = bootstrap(ACCURACY.statistics(*sample(seed, 120), LABELS), ACCURACY.aggregate, 0.8, 400, seed)
        results.append(interval.low <= TRUTH["accuracy"] <= interval.high)
    assert 0.75 <= np.mean(results) <= 0.85


def test_differences_of_like_predictors_are_covered():
    """Two predictors that err independently and equally often: the true difference is nought."""
    held = []
    for seed in range(300):
        random = np.random.default_rng([2, seed])
        ours, theirs = ((random.random(120) < 0.8).astype(float) for _ in range(2))
        first, other = (np.stack([right, np.ones(120)], axis=1) for right in (ours, theirs))
        result = intervals.paired_difference(first, other, share, confidence=0.95, resamples=400, seed=seed)
        held.append(result.low <= 0 <= result.high)
    assert 0.92 <= np.mean(held) <= 0.98


# --- the bootstrap --------------------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.5, 0.99, exclude_min=True))
def test_the_interval_holds_its_own_figure(right, wrong, confidence):
    result = bootstrap(rights(right, wrong), confidence=confidence, resamples=200)
    assert 0 <= result.low <= result.high <= 1
    assert result.value == pytest.approx(right / (right + wrong))
    wide = bootstrap(rights(right, wrong), confidence=0.995, resamples=200)
    assert wide.low <= result.low
    assert result.high <= wide.high


def test_more_examples_give_narrower_intervals():
    widths = [result.high - result.low for result in (bootstrap(rights(3 * n, n)) for n in (10, 40, 160))]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.2)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.2)


def test_the_same_seed_gives_the_same_interval():
    statistics = np.stack([np.random.default_rng(0).random(40), np.ones(40)], axis=1)
    assert bootstrap(statistics, seed=1) == bootstrap(statistics, seed=1) != bootstrap(statistics, seed=2)


def test_resampling_in_pieces_gives_as_many_samples(monkeypatch):
    statistics = rights(30, 20)
    monkeypatch.setattr(intervals, "CELLS", 170)  # three samples at a time
    drawn = intervals.resampled_sums(statistics, 1000, seed=0)
    assert drawn.shape == (1000, 2)
    assert (drawn[:, 1] == 50).all()
    assert drawn[:, 0].mean() == pytest.approx(30, abs=0.5)
    assert drawn[:, 0].std() == pytest.approx(np.sqrt(50 * 0.6 * 0.4), rel=0.1)


def test_the_interval_is_scipys():
    """The variance of few values: skewed and biased, so that both corrections show."""

    def variance(sums):
        return sums[..., 1] / sums[..., 2] - (sums[..., 0] / sums[..., 2]) ** 2

    values = np.random.default_rng(0).exponential(size=30)
    statistics = np.stack([values, values**2, np.ones(30)], axis=1)
    result = bootstrap(statistics, variance, resamples=20_000)
    theirs = stats.bootstrap((values,), np.var, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0))
    assert result.value == pytest.approx(np.var(values))
    assert result.low == pytest.approx(theirs.confidence_interval.low, rel=0.03)
    assert result.high == pytest.approx(theirs.confidence_interval.high, rel=0.06)  # few samples reach that far


@pytest.mark.parametrize("statistics", [rights(1, 0), rights(0, 1), rights(20, 0), rights(0, 20)])
def test_figures_that_never_vary_have_no_width(statistics):
    result = bootstrap(statistics)
    assert result.low == result.value == result.high


@pytest.mark.parametrize("statistics", [rights(1, 1), rights(199, 1), rights(1, 199)])
def test_scarce_successes_give_finite_bounds(statistics):
    result = bootstrap(statistics)
    assert 0 <= result.low < result.high <= 1


# --- studentized ----------------------------------------------------------------------------------------------------


def numbers(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and truth that correlate with 0.8, with tails heavier than normal ones."""
    random = np.random.default_rng([5, seed])
    true = random.standard_t(8, rows)
    return true + 0.75 * random.standard_t(8, rows), true


def studentized(name: str, predicted, true, resamples=300, confidence=0.95, seed=0):
    metric = NUMBERS[name]
    rows, settings = metric.statistics(predicted, true, ()), {"confidence": confidence, "resamples": resamples}
    return intervals.studentized(rows, metric.aggregate, metric.scale, seed=seed, **settings)


@pytest.mark.parametrize(
    ("name", "truth"), [("pearson", 0.8), ("r2", 1 - 0.75**2), ("rmse", 0.75 * np.sqrt(8 / 6))], ids=lambda item: item
)
def test_intervals_of_figures_of_squares_hold_the_truth(name, truth):
    held = []
    for seed in range(200):
        result = studentized(name, *numbers(seed, 200), resamples=200, seed=seed)
        held.append(result.low <= truth <= result.high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_the_standard_error_is_that_of_the_formula():
    """Of normal errors, the logarithm of their deviation has the standard error √(1 / 2n)."""
    errors = np.random.default_rng(0).normal(size=2000)
    result = studentized("rmse", errors, np.zeros(2000), resamples=3000)
    assert np.log(result.high / result.low) / 2 == pytest.approx(1.96 * np.sqrt(1 / 4000), rel=0.08)
    assert np.sqrt(result.low * result.high) == pytest.approx(result.value)  # symmetric on its scale


def test_correlations_near_one_stay_below_it():
    true = np.random.default_rng(0).normal(size=60)
    result = studentized("pearson", true + 0.01 * np.random.default_rng(1).normal(size=60), true)
    assert 0.999 < result.low < result.value < result.high < 1


@pytest.mark.filterwarnings("error")
def test_where_no_standard_error_is_known_the_interval_is_bca():
    metric = NUMBERS["pearson"]
    true = np.arange(20.0)
    for predicted in (true, np.ones(20)):  # a correlation of one, and none at all
        rows = metric.statistics(predicted, true, ())
        expected = bootstrap(rows, metric.aggregate, resamples=100)
        result = studentized("pearson", predicted, true, resamples=100)
        assert astuple(result) == pytest.approx(astuple(expected), nan_ok=True)
    few = studentized("pearson", [1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    assert -1 <= few.low <= few.value <= few.high <= 1


# --- differences ----------------------------------------------------------------------------------------------------


def test_a_predictor_does_not_differ_from_itself():
    statistics = F1.statistics(*sample(0, 60), LABELS)
    result = intervals.paired_difference(statistics, statistics, F1.aggregate, confidence=0.95, resamples=200, seed=0)
    assert (result.value, result.low, result.high) == (0, 0, 0)


def test_differences_are_paired():
    """Two predictors that err on the same examples but for five: pairing sees it, two intervals would not."""
    ours, theirs = rights(80, 20), rights(70, 30)
    result = intervals.paired_difference(ours, theirs, share, confidence=0.95, resamples=2000, seed=0)
    assert result.value == pytest.approx(0.1)
    assert result.low > 0.03
    apart = theirs[::-1]
    unpaired = intervals.paired_difference(ours, apart, share, confidence=0.95, resamples=2000, seed=0)
    assert unpaired.value == pytest.approx(0.1)
    assert unpaired.low < 0


def test_the_order_of_the_two_is_the_sign():
    ours, theirs = rights(80, 20), rights(70, 30)
    first = intervals.paired_difference(ours, theirs, share, confidence=0.9, resamples=500, seed=0)
    other = intervals.paired_difference(theirs, ours, share, confidence=0.9, resamples=500, seed=0)
    assert (first.value, first.low, first.high) == pytest.approx((-other.value, -other.high, -other.low))


# --- Wilson ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.51, 0.999))
def test_wilsons_interval_is_scipys(counts, confidence):
    successes, trials = counts
    result = intervals.wilson(successes, trials, confidence)
    theirs = stats.binomtest(successes, trials).proportion_ci(confidence, "wilson")
    assert (result.low, result.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert result.value == successes / trials


def test_f1_from_its_share():
    result = intervals.f1_score(30, 40, 35, 0.95)
    assert result.value == pytest.approx(2 * 30 / (40 + 35))
    assert result.low < result.value < result.high
    assert intervals.f1_score(40, 40, 40, 0.95).high == 1
    assert intervals.f1_score(0, 3, 4, 0.95).low == 0


def test_wilsons_known_values():
    result = intervals.wilson(10, 10, 0.95)
    assert (result.low, result.high) == (pytest.approx(0.7225, abs=1e-4), pytest.approx(1.0))
    assert intervals.wilson(0, 10, 0.95).high == pytest.approx(0.2775, abs=1e-4)


# --- figures of weighted examples -----------------------------------------------------------------------------------


def test_a_figure_of_weights_has_the_interval_of_the_same_figure_of_sums():
    random = np.random.default_rng(0)
    statistics = np.stack([random.exponential(size=90), np.ones(90)], axis=1)
    of_sums = bootstrap(statistics)
    of_weights = bootstrap_weighted(
        lambda weights: share(weights @ statistics), 90, confidence=0.95, resamples=500, seed=0
    )
    assert (of_weights.value, of_weights.low, of_weights.high) == pytest.approx(
        (of_sums.value, of_sums.low, of_sums.high)
    )


def test_areas_under_the_curve_are_covered():
    """Scores of the positives are shifted by one: the true area is Φ(1 / √2)."""
    from toolkit.metrics.probability import METRICS as RANKED

    held, truth = [], stats.norm.cdf(1 / np.sqrt(2))
    for seed in range(300):
        random = np.random.default_rng([3, seed])
        true = random.integers(0, 2, 120)
        probabilities = stats.norm.cdf(random.normal(true, 1))
        figure = RANKED["auroc"].prepare(np.stack([1 - probabilities, probabilities], axis=1), true, ("a", "b"))
        result = bootstrap_weighted(figure, 120, confidence=0.95, resamples=300, seed=seed)
        held.append(result.low <= truth <= result.high)
    assert 0.92 <= np.mean(held) <= 0.98


# --- many examples --------------------------------------------------------------------------------------------------


def test_equal_rows_are_resampled_together():
    """The same law whether alike rows are drawn together or, told apart by a column that counts nothing, one by one."""
    right = np.random.default_rng(0).random(400) < 0.8
    together = np.stack([right, np.ones(400)], axis=1).astype(np.float64)
    apart = np.concatenate([together, np.arange(400)[:, None]], axis=1)

    def share(sums):
        return sums[..., 0] / sums[..., 1]

    options = {"confidence": 0.95, "resamples": 20_000, "seed": 0}
    first, other = (intervals.bootstrap(table, share, **options) for table in (together, apart))
    assert first.value == other.value
    assert (first.low, first.high) == pytest.approx((other.low, other.high), abs=0.003)
    drawn = intervals.resampled_sums(together, 20_000, seed=0)
    assert (drawn[:, 1] == 400).all()
    assert drawn[:, 0].var() == pytest.approx(400 * right.mean() * (1 - right.mean()), rel=0.05)


def test_a_million_examples_take_bounded_memory():
    statistics = np.ones((1_000_000, 2))
    statistics[::5, 0] = 0
    tracemalloc.start()
    result = intervals.bootstrap(statistics, lambda s: s[..., 0] / s[..., 1], confidence=0.95, resamples=2000, seed=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.low == pytest.approx(0.8 - 1.96 * 0.0004, abs=5e-5)
    assert peak < 8 * statistics.nbytes


def test_the_interval_scales_with_its_figure_however_small_that_is():
    values = np.random.default_rng(0).exponential(size=(40, 1))
    usual = bootstrap(values, lambda sums: sums[..., 0] / 40, confidence=0.95, resamples=200, seed=1)
    for scale in (1e-80, 1e-120):
        tiny = bootstrap(scale * values, lambda sums: sums[..., 0] / 40, confidence=0.95, resamples=200, seed=1)
        assert tiny.low == pytest.approx(scale * usual.low, rel=1e-6)
        assert tiny.high == pytest.approx(scale * usual.high, rel=1e-6)
