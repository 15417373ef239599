"""The page on pruned heads says what was left out, and why not more."""

import pytest

from toolkit.report import pruning


@pytest.mark.parametrize(("chosen", "said"), [(1, "1 of 4 heads are left out: "), (2, "for one of each layer stays: ")])
def test_heads_that_stay_are_accounted_for(chosen, said):
    curve = [{"left_out": n, "accuracy": 0.9 - n / 10, "flops": 100.0 - n} for n in range(3)]
    found = {"curve": curve, "chosen": chosen, "metric": "accuracy", "importance": [[1.0, 0.5], [0.3, 0.2]]}
    assert said in pruning.headline(found)
