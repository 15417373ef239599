"""The page on pruned heads states what was pruned, and the limit."""

import re

import pytest

from toolkit.report.pages.attention import pruning


@pytest.mark.parametrize(
    ("share", "said"),
    [(None, "2 of 4 heads are pruned: "), (0.5, "pruned: "), (1.0, "(each layer keeps at least one): ")],
)
def test_heads_that_stay_are_accounted_for_where_more_were_to_go(share, said):
    curve = [{"left_out": n, "accuracy": 0.9 - n / 10, "flops": 100.0 - n} for n in range(3)]
    results = {
        "curve": curve,
        "chosen": 2,
        "share": share,
        "metric": "accuracy",
        "importance": [[1.0, 0.5], [0.3, 0.2]],
    }
    assert said in pruning.headline(results)


def test_names_of_lines_that_end_close_together_stand_apart():
    points = [(0.0, 1.0, 1.0), (0.5, 0.82, 0.83)]  # operations and time end together, accuracy far below
    curve = [{"share": s, "accuracy": 0.2, "flops": f, "time": t} for s, f, t in points]
    named = re.findall(r'<text class="\w+" x="(\S+)" y="(\S+)">(\w+)', pruning.plot(curve, "accuracy"))
    assert [name for _, _, name in named] == ["time", "operations", "accuracy"]
    heights = [float(y) for _, y, _ in named]
    assert heights[1] - heights[0] == 15
    assert heights[2] - heights[1] > 100
    assert len({x for x, _, _ in named}) == 1
