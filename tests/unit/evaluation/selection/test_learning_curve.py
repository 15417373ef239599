import numpy as np
import pytest

from toolkit.evaluation.selection import learning_curve
from toolkit.evaluation.selection.learning_curve import Curve, Estimate, Measured


def planted(rows, a, b, c, seed, sizes=(20, 40, 80, 160, 320)):
    """Errors whose chance follows a power law: of each row by one threshold, so that sizes depend on each other."""
    generator = np.random.default_rng(seed)
    chances = a + b * np.asarray(sizes, float) ** -c
    thresholds = 0.7 * generator.random((1, rows, 1)) + 0.3 * generator.random((4, rows, 1))
    ranks = thresholds.argsort(axis=1).argsort(axis=1) / rows
    return Measured(np.asarray(sizes), (ranks + generator.normal(0, 0.02, ranks.shape) < chances).astype(float))


def test_power_law_is_recovered_without_noise():
    sizes = np.array([20, 40, 80, 160, 320])
    law = learning_curve.power_laws(sizes, (0.1 + 2.0 * sizes**-0.5)[None], np.sqrt(sizes))[0]
    assert law == pytest.approx([0.1, 2.0, 0.5], abs=1e-6)


def test_level_and_slope_are_never_negative():
    sizes = np.array([10, 20, 40])
    laws = learning_curve.power_laws(sizes, np.array([[0.1, 0.2, 0.3], [0.9, 0.3, 0.01], [0.5, 0.5, 0.5]]), sizes)
    assert (laws >= 0).all()
    assert laws[0, 1] == 0  # an error that grows has no gain


@pytest.mark.slow
def test_interval_contains_true_gain_as_often_as_said():
    """Errors of rows that were drawn anew each time; the truth is the planted law."""
    a, b, c, inside, tries = 0.15, 1.2, 0.5, 0, 120
    sizes = np.array([20, 40, 80, 160, 320])
    chances = a + b * sizes**-c
    truth = b * 400**-c - b * 500**-c
    for seed in range(tries):
        generator = np.random.default_rng(seed)
        errors = (generator.random((1, 400, 1)) < chances).astype(float).repeat(4, axis=0)
        gain = learning_curve.fit(Measured(sizes, errors), seed, confidence=0.9).gain(400, 100)
        inside += gain.low <= truth <= gain.high
    assert inside / tries > 0.82


def test_clusters_widen_the_interval():
    generator = np.random.default_rng(0)
    clusters = np.repeat(np.arange(20), 20)
    sizes = np.array([20, 40, 80, 160, 320])
    hard = generator.random(20)[clusters][None, :, None]
    measured = Measured(sizes, (hard < 0.15 + 1.2 * sizes**-0.5).astype(float).repeat(4, axis=0))
    apart, together = (learning_curve.fit(measured, 0, of).error(320) for of in (None, clusters))
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_folds_do_not_divide_clusters():
    clusters = np.repeat(np.arange(30), 4)
    folds = learning_curve.folds_of(120, clusters, np.random.default_rng(0))
    assert all(len(set(folds[clusters == cluster])) == 1 for cluster in range(30))


def test_probe_is_never_fitted_on_rows_that_it_predicts():
    seen = []

    def errors_of(fitted, predicted):
        assert not set(fitted) & set(predicted)
        seen.append(len(fitted))
        return np.zeros(len(predicted))

    measured = learning_curve.measure(errors_of, 100, 0)
    assert sorted(set(seen)) == measured.sizes.tolist()
    assert measured.sizes.max() == 80
    assert np.isfinite(measured.errors).all()


def test_no_curve_of_few_rows():
    assert learning_curve.measure(lambda _fitted, predicted: np.zeros(len(predicted)), 30, 0) is None


def test_measured_errors_of_a_learner_fall():
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 2, 400)
    vectors = generator.normal(0, 1, (400, 10)) + 0.6 * truth[:, None]

    def errors_of(fitted, predicted):
        centres = [vectors[fitted][truth[fitted] == label].mean(axis=0) for label in (0, 1)]
        nearer = ((vectors[predicted] - centres[1]) ** 2).sum(1) < ((vectors[predicted] - centres[0]) ** 2).sum(1)
        return (nearer != truth[predicted]).astype(float)

    measured = learning_curve.measure(errors_of, 400, 0)
    curve = learning_curve.fit(measured, 0)
    assert measured.means[0] > measured.means[-1]
    assert curve.gain(400, 1000).value >= curve.gain(400, 100).value >= 0
    assert curve.floor.value <= curve.error(400).value


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 0.004, "stop"), (0.006, 0.02, "go on"), (0.001, 0.02, "undecided")],
)
def test_advice_follows_the_ends_of_the_interval(low, high, expected):
    assert learning_curve.advice(Estimate((low + high) / 2, low, high), 0.005) == expected


def test_planted_plateau_says_stop_and_steep_curve_goes_on():
    flat = learning_curve.fit(planted(3000, 0.2, 5.0, 1.5, 0), 0)
    steep = learning_curve.fit(planted(3000, 0.0, 2.0, 0.4, 0), 0)
    assert learning_curve.advice(flat.gain(400, 100), 0.005) == "stop"
    assert learning_curve.advice(steep.gain(400, 100), 0.005) == "go on"
    assert isinstance(steep, Curve)
