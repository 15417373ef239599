"""A model without bias is rarely called biased over all studies together; a planted gap is found."""

import numpy as np
import pytest
from scipy import stats

from toolkit.evaluation.statistics.term_gaps import gaps

# Of the shipped lists: groups, terms that fill a template, and templates; and rows of data that mention terms
SENTENCES = {"gender": (2, 5, 3), "names": (6, 6, 3), "nationality": (11, 1, 14), "religion": (6, 1, 14)}
DATA = {"gender": (2, 8, 60), "names": (6, 4, 25), "religion": (6, 2, 20)}
STUDIES = len(SENTENCES) + len(DATA)


def scores(random, groups, terms, texts, shift=0.0):
    """Draw scores of each text in the version of each group: texts, terms and their pairs have effects of their own.

    Terms vary by 0.05 within a group, texts by 0.3, and each pair by 0.03; `shift` raises the first group.
    """
    place = random.integers(0, terms, texts)
    of_terms = random.normal(0, 0.05, (terms, groups))
    drawn = random.normal(0, 0.3, (texts, 1)) + of_terms[place] + random.normal(0, 0.03, (texts, groups))
    drawn[:, 0] += shift
    return drawn, place


def crossed(random, groups, terms, templates, shift=0.0):
    """Draw the same where each template is filled with each term."""
    place = np.tile(np.arange(terms), templates)
    of_terms = random.normal(0, 0.05, (terms, groups))
    of_templates = random.normal(0, 0.3, (templates, 1)).repeat(terms, axis=0)
    drawn = of_templates + of_terms[place] + random.normal(0, 0.03, (len(place), groups))
    drawn[:, 0] += shift
    return drawn, place


def clear(drawn, place):
    """Whether any gap of a study is claimed, each study having an equal part of five per cent."""
    found, groups = gaps(drawn, place), drawn.shape[1]
    compared = 1 if groups == 2 else groups
    bounds = [found.interval(group, 1 - 0.05 / STUDIES / compared) for group in range(compared)]
    return [not bound.low <= 0 <= bound.high for bound in bounds]


def test_a_model_without_bias_is_rarely_called_biased():
    alarms, simulations = 0, 600
    for seed in range(simulations):
        random = np.random.default_rng([0, seed])
        studies = [crossed(random, *shape) for shape in SENTENCES.values()]
        studies += [scores(random, *shape) for shape in DATA.values()]
        alarms += any(any(clear(*study)) for study in studies)
    assert 0.01 < alarms / simulations <= 0.05 + 2 * (0.05 * 0.95 / simulations) ** 0.5


@pytest.mark.parametrize(
    ("study", "shift", "power"),
    [
        ("names", 0.1, 0.6),
        ("names", 0.15, 0.93),
        ("gender", 0.3, 0.88),
        ("nationality", 0.5, 0.95),
        ("religion", 0.5, 0.55),
    ],
)
def test_a_planted_gap_is_found(study, shift, power):
    """Terms of one group vary by 0.05, on a scale from -1 to 1."""
    found, simulations = 0, 300
    for seed in range(simulations):
        found += clear(*crossed(np.random.default_rng([1, seed]), *SENTENCES[study], shift))[0]
    assert found / simulations >= power


def test_with_two_groups_it_is_the_paired_test():
    random = np.random.default_rng(2)
    means = random.normal(size=(7, 2))
    result = gaps(means, np.arange(7))
    expected = stats.ttest_rel(means[:, 0], means[:, 1])
    assert result.degrees == 6
    assert result.values[0] == pytest.approx(-result.values[1])
    assert result.values[0] / result.errors[0] == pytest.approx(expected.statistic)
    interval = result.interval(0, 0.9)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected.confidence_interval(0.9)))


def test_it_is_a_regression_on_places_and_a_group():
    """Texts of a term are averaged, and those with few texts count as much as others."""
    random = np.random.default_rng(3)
    place = np.array([0, 0, 0, 1, 2, 2])
    drawn = random.normal(size=(6, 4))
    means = np.stack([drawn[place == number].mean(axis=0) for number in range(3)])  # (3, 4)
    result = gaps(drawn, place)
    for group in range(4):
        design = np.array(
            [[*(place_ == row for place_ in range(3)), column == group] for row in range(3) for column in range(4)],
            np.float64,
        )
        solution, residual, *_ = np.linalg.lstsq(design, means.ravel(), rcond=None)
        variance = residual[0] / (12 - 4) * np.linalg.inv(design.T @ design)[3, 3]
        assert result.values[group] == pytest.approx(solution[3])
        assert result.errors[group] == pytest.approx(variance**0.5)
    assert result.degrees == 8


def test_a_term_for_each_of_two_groups_tests_nothing():
    result = gaps(np.random.default_rng(4).normal(size=(30, 2)) + np.array([1, 0]), np.zeros(30, np.int64))
    assert result.values[0] > 0.5
    assert result.interval(0, 0.95) is None


def test_equal_scores_up_to_rounding_are_no_gap():
    drawn = 0.3 + np.random.default_rng(5).normal(size=(30, 3)) * 1e-12
    interval = gaps(drawn, np.arange(30) % 5).interval(0, 0.95)
    assert interval.low <= 0 <= interval.high
