"""Which of two is better depends on the direction of the metric."""

import pytest

from toolkit.report.document.figures import is_better, is_worse, turned, upward


@pytest.mark.parametrize(
    ("low", "high", "better", "worse"), [(0.1, 0.3, True, False), (-0.3, -0.1, False, True), (-0.1, 0.1, False, False)]
)
def test_an_error_is_better_where_it_is_lower(low: float, high: float, better: bool, worse: bool) -> None:
    difference = {"value": (low + high) / 2, "low": low, "high": high}
    assert (is_better(difference), is_worse(difference)) == (better, worse)
    assert (is_better({**difference, "better": "lower"}), is_worse({**difference, "better": "lower"})) == (
        worse,
        better,
    )
    assert turned(turned(difference)) == difference
    assert upward(difference)["high"] > 0
