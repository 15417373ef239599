"""The page on pruned heads says what was left out, and why not more."""

import pytest

from toolkit.report import pruning


@pytest.mark.parametrize(
    ("share", "said"),
    [(None, "2 of 4 heads are left out: "), (0.5, "left out: "), (1.0, "for one of each layer stays: ")],
)
def test_heads_that_stay_are_accounted_for_where_more_were_to_go(share, said):
    curve = [{"left_out": n, "accuracy": 0.9 - n / 10, "flops": 100.0 - n} for n in range(3)]
    found = {"curve": curve, "chosen": 2, "share": share, "metric": "accuracy", "importance": [[1.0, 0.5], [0.3, 0.2]]}
    assert said in pruning.headline(found)
