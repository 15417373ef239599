"""The benchmark of rows to label: its table, and what it counts as saved."""

import pytest

from benchmarks import selection
from toolkit.evaluation.selection import strategies


def entry(draw, ahead):
    random_rows = [0.5, 0.6, 0.65, 0.7, 0.72, 0.73]
    better = [random_rows[0], *(value + ahead for value in random_rows[1:])]
    curves = {name: random_rows if name == strategies.RANDOM else better for name in selection.STRATEGIES}
    return {"set": "films", "start": 60, "draw": draw, "accuracy": curves}


def test_table_has_mean_difference_and_interval():
    record = {"draws": [entry(0, 0.02), entry(1, 0.04)]}
    *_, line = selection.markdown(record).splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["films", "60 → 260", "50.0 → 73.0"]
    assert cells[3] == "+3.0 ± 12.7"  # Student's quantile with one degree of freedom
    assert cells[-1] == "40 %"  # 0.73 is reached at 180 labels


def test_nothing_is_saved_by_a_worse_strategy():
    curves = [entry(0, -0.05)["accuracy"]]
    assert selection.saved(curves, selection.DEFAULT, 60) == pytest.approx(0)
