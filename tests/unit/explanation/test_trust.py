"""Methods are measured on all texts, or on those for which there is time."""

import numpy as np

from tests.support import toys
from toolkit.explanation import trust
from toolkit.explanation.attributions import explain

METHODS = ("leave-one-out", "gradient-input")


def test_measuring_stops_when_its_time_is_spent():
    model, random = toys.bag(np.linspace(-2, 2, 9).tolist()), np.random.default_rng(0)
    results = [explain(model, toys.text(random.integers(1, 10, 6)), 1, METHODS) for _ in range(20)]
    begun, shares = [], []

    def observe(stage, done, _total):
        begun.extend([stage] if done == 0 else [])

    def within(share):
        shares.append(share)
        return lambda: True

    settings = {"confidence": 0.95, "resamples": 50, "seed": 0}
    whole = trust.measure(model, results, METHODS, observe=observe, **settings)
    assert (whole["texts"], whole["sensitivity_texts"]) == (20, trust.SENSITIVITY_TEXTS)
    assert begun == ["Removing parts of the input", "Randomizing the weights"]
    assert not trust.cut_short(whole, 20)
    cut = trust.measure(model, results, METHODS, within=within, **settings)
    assert (cut["texts"], cut["sensitivity_texts"]) == (8, 2)  # texts in one batch; an interval needs two
    assert [len(figures["sensitivity"]) for figures in cut["methods"].values()] == [3, 3]
    assert all(0 < share < 1 for share in shares)
    assert trust.cut_short(cut, 20)
