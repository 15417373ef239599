"""With rows in groups, intervals hold the truth as often as they say, and tests rarely see what is not there."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from toolkit.config.settings import EvaluationConfig
from toolkit.evaluation import scores
from toolkit.evaluation.checks import calibration, fairness, slices
from toolkit.evaluation.statistics import clusters as clusters_
from toolkit.evaluation.statistics import intervals
from toolkit.evaluation.statistics.calibration_error import calibrated_p, calibration_error
from toolkit.evaluation.statistics.claims import worst_groups
from toolkit.evaluation.statistics.label_noise import noise
from toolkit.evaluation.statistics.significance import mcnemar, mid_p, sign_flip_p
from toolkit.evaluation.statistics.weighted import bootstrap_weighted
from toolkit.metrics import load
from toolkit.metrics.means import mean

SHAPES = [(20, 20, 0.2), (40, 30, 0.4)]  # groups, rows of each, intraclass correlation
DRAWS = {"confidence": 0.95, "resamples": 400}


def right(random, groups, rows, correlation, accuracy=0.8):
    """Draw which predictions are right: the accuracy of a group is beta distributed."""
    weight = (1 - correlation) / correlation
    shares = random.beta(accuracy * weight, (1 - accuracy) * weight, groups)
    return (random.random((groups, rows)) < shares[:, None]).ravel().astype(np.float64)


def numbers(groups, rows):
    return np.repeat(np.arange(groups), rows)


def of_mean(values):
    return np.stack([values, np.ones(len(values))], axis=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_of_grouped_rows_hold_the_truth(shape):
    """Over rows they hold it in 65 and 39 % of the samples."""
    groups, rows, correlation = shape
    together = numbers(groups, rows)
    held, shares, over_rows, simulations = 0, 0, 0, 400
    for seed in range(simulations):
        values = right(np.random.default_rng([groups, seed]), groups, rows, correlation)
        found = intervals.bootstrap(of_mean(values), mean, **DRAWS, seed=seed, clusters=together)
        held += found.low <= 0.8 <= found.high
        found = intervals.share(values, np.ones(len(values), bool), 0.95, together)
        shares += found.low <= 0.8 <= found.high
        found = intervals.wilson(values.sum(), len(values), 0.95)
        over_rows += found.low <= 0.8 <= found.high
    assert 0.92 <= held / simulations <= 0.98
    assert 0.92 <= shares / simulations <= 0.98
    assert over_rows / simulations < 0.75


@pytest.mark.parametrize("shape", SHAPES)
def test_equally_good_models_rarely_differ(shape):
    """Which of the two is better depends on the group, as where each learned other patients."""
    groups, rows, _ = shape
    together, truth = numbers(groups, rows), np.zeros(groups * rows, np.int64)
    tested = claimed = over_rows = 0
    simulations = 400
    for seed in range(simulations):
        random = np.random.default_rng([groups, 1, seed])
        lean = random.normal(0, 0.15, groups).clip(-0.3, 0.3)
        chances = np.stack([0.8 + lean, 0.8 - lean], axis=1).clip(0, 1)[together]
        ours, theirs = (random.random(chances.shape) >= chances).astype(np.int64).T  # class 0 is right
        tested += mcnemar(ours, theirs, truth, together).p < 0.05
        over_rows += mcnemar(ours, theirs, truth).p < 0.05
        both = (of_mean((side == 0).astype(np.float64)) for side in (ours, theirs))
        found = intervals.paired_difference(*both, mean, **DRAWS, seed=seed, clusters=together)
        claimed += not found.low <= 0 <= found.high
    assert tested / simulations <= 0.08  # 0.05 and nearly three standard errors
    assert claimed / simulations <= 0.08
    assert over_rows / simulations > 0.15


def test_the_test_of_signs_is_exact():
    random = np.random.default_rng(0)
    for size in range(1, 10):
        amounts = random.integers(-5, 6, size)
        sums = np.abs(np.array(list(itertools.product([-1, 1], repeat=size))) @ amounts)
        assert sign_flip_p(amounts) == pytest.approx((sums >= abs(amounts.sum())).mean())
    assert sign_flip_p(np.zeros(4, np.int64)) == 1
    assert sign_flip_p(np.ones(30, np.int64)) == pytest.approx(stats.binomtest(30, 30).pvalue, abs=1e-12)


def test_without_groups_the_test_is_mcnemars():
    random = np.random.default_rng(1)
    truth, ours, theirs = (random.integers(0, 2, 60) for _ in range(3))
    result = mcnemar(ours, theirs, truth)
    assert result.p == mid_p(result.only_ours, result.only_theirs)
    doubled = [np.repeat(part, 2) for part in (ours, theirs, truth)]
    together = numbers(60, 2)
    copied = mcnemar(*doubled, together)
    assert copied.only_ours == 2 * result.only_ours
    alone = stats.binomtest(result.only_ours, result.only_ours + result.only_theirs).pvalue  # copies say nothing new
    assert copied.p == pytest.approx(alone)


def study(wrong, rows, seed, together):
    return slices.section(~wrong, rows, {"text": rows["text"].to_pylist()}, None, 0.95, seed, together)


def texts(random, size):
    words = [f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    return [" ".join(random.choice(words, random.integers(3, 12), replace=False)) for _ in range(size)]


@pytest.mark.parametrize("shape", SHAPES[:1])
def test_grouped_mistakes_at_random_rarely_make_any_slice_look_bad(shape, monkeypatch):
    """The site is that of all rows of a group; over rows some slice is called weak far more often."""
    monkeypatch.setattr(worst_groups, "SHUFFLES", 200)
    groups, rows, correlation = shape
    together = numbers(groups, rows)
    alarms, over_rows, simulations = 0, 0, 100
    for seed in range(simulations):
        random = np.random.default_rng([groups, 2, seed])
        site = random.choice(["a", "b", "c"], groups)[together]
        table = pa.table({"text": texts(random, groups * rows), "site": site})
        wrong = right(random, groups, rows, correlation) == 0
        alarms += study(wrong, table, seed, together)["clear"] > 0
        over_rows += study(wrong, table, seed, None)["clear"] > 0
    assert alarms / simulations <= 0.1  # 0.05 and two and a half standard errors
    assert over_rows / simulations > 0.1


def test_a_planted_weak_slice_is_found_among_groups():
    random = np.random.default_rng(3)
    together = numbers(40, 20)
    table = pa.table({"text": texts(random, 800)})
    bad = np.array(["wordq" in text.split() for text in table["text"].to_pylist()])
    chance = np.where(bad, 0.5, 0.1) + random.normal(0, 0.05, 40)[together]
    result = study(random.random(800) < chance, table, 0, together)
    assert [(item["by"], item["name"]) for item in result["worst"]] == [("word", "wordq")]
    one_group = pa.table({"text": table["text"], "site": (together == 0).astype(str)})
    wrong = (random.random(800) < 0.1) | (together == 0)
    assert study(wrong, one_group, 0, together)["clear"] == 0  # one group says nothing of a slice


def confident(random, groups, rows, spread):
    """Draw confidences, and outcomes that they match on average, though not in each group."""
    sure = random.uniform(0.5, 0.95, groups * rows)
    lean = random.choice([-spread, spread], groups)[numbers(groups, rows)]
    return sure, (random.random(groups * rows) < sure + lean * (1 - sure)).astype(np.float64)


def test_calibrated_models_are_rarely_called_otherwise():
    groups, rows = 30, 20
    together = numbers(groups, rows)
    alarms = over_rows = held = 0
    simulations = 150
    for seed in range(simulations):
        sure, hit = confident(np.random.default_rng([4, seed]), groups, rows, 0.9)
        alarms += calibrated_p(sure, hit, seed, 300, together) < 0.05
        over_rows += calibrated_p(sure, hit, seed, 300) < 0.05
        held += calibration_error(sure, hit, 0.95, seed, together).low == 0
    assert alarms / simulations <= 0.1
    assert held / simulations >= 0.9
    assert over_rows / simulations > 0.2
    sure, hit = confident(np.random.default_rng(5), groups, rows, 0.0)
    assert calibrated_p(np.minimum(sure + 0.25, 1), hit, 0, 300, together) < 0.05


def test_groups_of_one_row_change_intervals_little():
    values = right(np.random.default_rng(6), 300, 1, 0.2)
    alone = np.arange(300)
    plain = intervals.bootstrap(of_mean(values), mean, **DRAWS, seed=0)
    result = intervals.bootstrap(of_mean(values), mean, **DRAWS, seed=0, clusters=alone)
    assert (result.value, result.low, result.high) == pytest.approx((plain.value, plain.low, plain.high), abs=0.005)
    everyone = np.ones(300, bool)
    assert intervals.share(values, everyone, 0.95, None) == intervals.wilson(values.sum(), 300, 0.95)
    spread = intervals.share(values, everyone, 0.95, alone)
    assert spread.high - spread.low == pytest.approx(
        (lambda w: w.high - w.low)(intervals.wilson(values.sum(), 300, 0.95)), rel=0.02
    )


def test_copies_of_rows_say_nothing_new():
    """Each row is there five times: the design effect is five, and the interval is that of the rows once."""
    values = np.random.default_rng(0).random(80)
    copies, together = np.repeat(of_mean(values), 5, axis=0), numbers(80, 5)
    settings = {"resamples": 500, "seed": 3}
    level = clusters_.widened(0.95, together)
    wanted = intervals.bootstrap(of_mean(values), mean, confidence=level, **settings)
    result = intervals.bootstrap(copies, mean, confidence=0.95, **settings, clusters=together)
    assert (result.value, result.low, result.high) == pytest.approx((wanted.value, wanted.low, wanted.high))
    assert clusters_.design_effect(copies, mean, together) == pytest.approx(5, rel=0.02)
    assert clusters_.design_effect(of_mean(values), mean, np.arange(80)) == pytest.approx(1)
    weighted = bootstrap_weighted(
        lambda weights: (weights @ copies[:, 0]) / weights.sum(axis=1),
        400,
        confidence=0.95,
        **settings,
        clusters=together,
    )
    assert weighted.high - weighted.low == pytest.approx(result.high - result.low, rel=0.1)


def test_where_nothing_differs_each_group_counts_once():
    everyone, together = np.ones(100, bool), numbers(10, 10)
    assert intervals.share(everyone, everyone, 0.95, together) == intervals.wilson(10, 10, 0.95)
    (figure,) = scores.score(
        {"prediction": [1] * 50 + [0] * 50},
        [1] * 50 + [0] * 50,
        ["accuracy"],
        ["a", "b"],
        EvaluationConfig(),
        0,
        together,
    )
    assert figure["low"] == pytest.approx(intervals.wilson(10, 10, 0.95).low)


def test_few_or_uneven_groups_widen_levels():
    even, uneven = numbers(10, 10), np.repeat(np.arange(10), [91, *[1] * 9])
    assert clusters_.widened(0.95, None) == 0.95
    assert 0.95 < clusters_.widened(0.95, numbers(200, 2)) < clusters_.widened(0.95, even)
    assert clusters_.widened(0.95, even) < clusters_.widened(0.95, uneven) < 1
    assert clusters_.effective(even) == pytest.approx(10)
    assert clusters_.effective(uneven) == pytest.approx(100**2 / (91**2 + 9))
    assert clusters_.quantile(0.95, even) == pytest.approx(stats.t.ppf(0.975, 9))
    assert clusters_.kept(np.array([0, 1, 1, 2]), [1, 3, 3]).tolist() == [0, 1, 1]
    assert clusters_.kept(None, [1]) is None


def test_one_group_gives_no_false_certainty():
    values, together = np.repeat([1.0, 0.0], [80, 20]), np.zeros(100, np.int64)
    result = intervals.share(values, np.ones(100, bool), 0.95, together)
    assert result.high - result.low > 0.7
    assert clusters_.design_effect(of_mean(values), mean, together) is None


def test_gaps_between_people_are_tested_over_groups():
    random, together = np.random.default_rng(7), numbers(20, 20)
    alarms = []
    for _ in range(60):
        people = random.choice(["x", "y"], 20)[together]
        hit = right(random, 20, 20, 0.3)
        codes = (people == "y").astype(np.int64)
        shares = [hit[codes == code].mean() for code in (0, 1)]
        width, counted = abs(shares[0] - shares[1]), np.ones(400, bool)
        gaps = [fairness._chance(hit, counted, codes, 0, clusters) for clusters in (together, None)]
        alarms.append([fairness._p_value(width, chance) < 0.05 for chance in gaps])
    over_groups, over_rows = np.mean(alarms, axis=0)
    assert over_groups <= 0.13  # 0.05 and nearly three standard errors
    assert over_rows > 0.25


def test_noise_of_labels_is_less_certain_where_rows_repeat():
    random = np.random.default_rng(8)
    probabilities = random.dirichlet([0.3, 0.3, 0.3], 150)
    labels = np.array([random.choice(3, p=row) for row in probabilities])
    wrong = random.random(150) < 0.15
    labels[wrong] = (labels[wrong] + 1) % 3
    many, repeated = np.repeat(probabilities, 6, axis=0), np.repeat(labels, 6)
    plain = noise(many, repeated)
    grouped = noise(many, repeated, numbers(150, 6))
    once = noise(probabilities, labels)
    assert plain["rate"] == grouped["rate"] == once["rate"]
    assert plain["p"] < grouped["p"]
    assert grouped["p"] == pytest.approx(once["p"], rel=0.2)


def test_calibration_of_grouped_rows_is_in_the_schema_and_wider():
    random = np.random.default_rng(9)
    probabilities = random.dirichlet([1, 1], 100)
    labels = np.array([random.choice(2, p=row) for row in probabilities])
    many, repeated, together = np.repeat(probabilities, 4, axis=0), np.repeat(labels, 4), numbers(100, 4)
    config = EvaluationConfig(resamples=1000)
    plain = calibration.section(many, repeated, config, 0, 1.5)
    grouped = calibration.section(many, repeated, config, 0, 1.5, clusters=together)
    for figures in (lambda part: part["brier"], lambda part: part["scaled"]["log_loss"]):
        narrow, wide = figures(plain), figures(grouped)
        assert wide["value"] == narrow["value"]
        assert wide["high"] - wide["low"] > 1.6 * (narrow["high"] - narrow["low"])
    assert grouped["p"] > plain["p"]


# Of the code before groups were known: accuracy, macro F1 and the lead of a model, of calibration and of slices
PINNED = [
    *(0.788888889, 0.688888889, 0.855555556, 0.789985574, 0.694125783, 0.88267776, 0.033333333, -0.110936416),
    *(0.144444444, 0.6271025701571499),
    *(0.235408027, 0.137449595, 0.358853698, 0.716240767, 0.647890185, 0.792415097, 3.259672472e-07),
    *(0.333333333, 0.120583818, 0.645797864),
    *(0.473526474, 0.7, 0.521242125, 0.833352517, 1.0, 0.833333333, 0.664356495, 0.926634576),
]


def test_figures_of_independent_rows_are_those_of_before_groups():
    random = np.random.default_rng(11)
    truth = random.integers(0, 3, 90)
    given = np.where(random.random(90) < 0.7, truth, random.integers(0, 3, 90))
    other = np.where(random.random(90) < 0.6, truth, random.integers(0, 3, 90))
    config, labels = EvaluationConfig(resamples=300), ["a", "b", "c"]
    columns, theirs = {"prediction": given.tolist()}, {"prediction": other.tolist()}
    figures = scores.score(columns, truth.tolist(), ["accuracy", "f1"], labels, config, 5)
    lead = scores.difference(load("accuracy")[1], columns, theirs, truth.tolist(), labels, config, 5)
    found = [figure[end] for figure in (*figures, lead) for end in ("value", "low", "high")]
    found.append(lead["mcnemar"]["p"])
    whole = calibration.section(random.dirichlet([1, 1, 1], 90), truth.tolist(), config, 5, 1.5)
    found += [*whole["ece"].values(), *whole["scaled"]["brier"].values(), whole["p"]]
    found += whole["bins"][3]["accuracy"].values()
    rows = pa.table({"text": ["a b", "a", "a b c"] * 30, "site": random.choice(["x", "y"], 90).tolist()})
    groups = slices.section(given == truth, rows, {"text": rows["text"].to_pylist()}, None, 0.95, 5)["groups"]
    found += [value for group in groups[:2] for value in (group["p"], *group["accuracy"].values())]
    assert found == pytest.approx(PINNED, abs=1e-9)
