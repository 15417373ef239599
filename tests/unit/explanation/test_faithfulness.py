"""Faithful rankings are distinguished from random and wrong ones, with a known truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import toys
from toolkit.explanation import faithfulness
from toolkit.explanation.attributions import Explanation

WEIGHTS = [3.0, 2.0, -1.0, 0.1, 0.0, -0.1, 0.2, 1.0, -2.0, 0.3]


def explained(count, **methods):
    """Texts of random words with scores by each method, a function of the words' weights."""
    random = np.random.default_rng(0)
    results = []
    for _ in range(count):
        words = random.integers(1, len(WEIGHTS) + 1, 12)
        weights = np.array([WEIGHTS[word - 1] for word in words])
        target = int(weights.sum() > 0)
        helping = weights if target else -weights
        scores = {name: np.asarray(method(helping, random), float) for name, method in methods.items()}
        results.append(Explanation(toys.text(words), target, scores, {}, np.zeros((1, 1, 1, 1))))
    return results


def verdict(count=40, **methods):
    curves = faithfulness.measure(toys.bag(WEIGHTS), explained(count, **methods), seed=1)
    return faithfulness.evaluate(curves, confidence=0.95, resamples=500, seed=1)


def truth(helping, random):
    return helping


def noise(helping, random):
    return random.normal(size=len(helping))


def test_the_truth_wins_and_its_opposite_loses():
    result = verdict(truth=truth, noise=noise, opposite=lambda helping, random: -helping)
    assert result.best == "truth"
    assert result.runner_up == "noise"
    assert result.lead is not None
    assert result.lead.low > 0
    assert result.texts == 40
    assert not result.standings["noise"].beats_random
    assert result.standings["opposite"].over_random.high < 0
    truthful = result.standings["truth"]
    assert truthful.comprehensiveness.value > truthful.sufficiency.value
    difference = truthful.comprehensiveness.value - truthful.sufficiency.value
    assert truthful.faithfulness.value == pytest.approx(difference)


def test_when_none_beats_random_none_is_named():
    result = verdict(noise=noise, other=noise)
    assert result.best is None
    assert result.runner_up is None
    assert result.lead is None


def test_leaving_words_out_gives_its_place_to_a_method_that_is_equivalent():
    """It computes nearly what is measured; where it may be ahead by more, or the other is no better than chance, it
    stays."""

    def blurred(by):
        return lambda helping, random: helping + random.normal(scale=by, size=len(helping))

    nearest = faithfulness.NEAREST
    like = {nearest: blurred(1), "other": blurred(1.05)}
    result = verdict(count=600, **like)
    assert result.standings["other"].faithfulness.value < result.standings[nearest].faithfulness.value
    assert (result.best, result.runner_up) == ("other", nearest)
    assert -faithfulness.MARGIN < result.lead.low < result.lead.value < 0
    few = verdict(count=40, **like)  # the other may be worse by more than the margin
    assert (few.best, few.runner_up) == (nearest, "other")
    assert few.lead.low <= 0 < faithfulness.MARGIN <= few.lead.high
    alone = verdict(**{nearest: truth, "other": noise})
    assert (alone.best, alone.runner_up) == (nearest, "other")


def test_more_methods_ask_for_more_evidence():
    alone = verdict(truth=truth).standings["truth"].over_random
    many = verdict(truth=truth, **{f"noise{n}": noise for n in range(6)}).standings["truth"].over_random
    assert many.high - many.low > alone.high - alone.low


def test_the_figures_are_those_of_the_definition():
    """One text of two words: the first share of words is one word, as is every other."""
    model, text = toys.bag([2.0, -1.0]), toys.text([1, 2])
    first = Explanation(text, 1, {"m": np.array([1.0, 0.0])}, {}, np.zeros((1, 1, 1, 1)))
    (curves,) = faithfulness.measure(model, [first], seed=0)

    def chance(total):
        return 1 / (1 + np.exp(-total))

    assert curves.comprehensiveness["m"] == pytest.approx(chance(1) - chance(-1), abs=1e-6)
    assert curves.sufficiency["m"] == pytest.approx(chance(1) - chance(2), abs=1e-6)


@given(st.integers(1, 500))
def test_shares_of_words(words):
    counts = faithfulness.top_counts(words)
    assert len(counts) == len(faithfulness.SHARES)
    assert 1 <= counts[0] <= counts[-1] <= words
    assert list(counts) == sorted(counts)


def test_twenty_words():
    assert faithfulness.top_counts(20) == (1, 1, 2, 4, 10)


def test_each_question_is_asked_once():
    calls = []
    model = toys.bag(WEIGHTS)
    collate = model.collate

    def counting(features):
        calls.extend(tuple(item["input_ids"]) for item in features)
        return collate(features)

    model = type(model)(model.network, counting, 0, 16)
    text = toys.text([1, 2, 3, 4])
    same = {name: np.array([4.0, 3, 2, 1]) for name in ("one", "two")}
    faithfulness.measure(model, [Explanation(text, 1, same, {}, np.zeros((1, 1, 1, 1)))], seed=0)
    assert len(calls) == len(set(calls))


def test_intervals_are_over_groups_of_texts():
    """Of 20 groups of 20 texts with an intraclass correlation of 0.2."""
    held, clusters = {"groups": 0, "texts": 0}, np.repeat(np.arange(20), 20)
    for seed in range(300):
        random = np.random.default_rng(seed)
        values = (np.sqrt(0.2) * random.normal(size=(20, 1)) + np.sqrt(0.8) * random.normal(size=(20, 20))).ravel()
        for name, together in (("groups", clusters), ("texts", None)):
            ends = faithfulness.mean_interval(values.tolist(), 0.95, 300, seed, together)
            held[name] += ends.low <= 0 <= ends.high
    assert held["groups"] / 300 >= 0.93
    assert held["texts"] / 300 < 0.8


def test_groups_of_the_measured_texts_are_used():
    """Each text is there four times; there are groups of further texts for which time did not suffice."""
    curves = faithfulness.measure(toys.bag(WEIGHTS), explained(24, truth=truth, noise=noise), seed=1)
    settings = {"confidence": 0.95, "resamples": 300, "seed": 1}
    alone = faithfulness.evaluate(curves * 4, **settings)
    together = faithfulness.evaluate(curves * 4, **settings, clusters=np.tile(np.arange(24), 5))
    widths = [r.standings["truth"].faithfulness.high - r.standings["truth"].faithfulness.low for r in (alone, together)]
    assert widths[1] > 1.7 * widths[0]
