"""Statements of a report on a budget."""

from toolkit.report.document.time_budget import statements

BUDGET = {
    "seconds": 90.0,
    "before_training": 12.0,
    "kept_for_evaluation": 10.0,
    "train_rows": 3600,
    "validation_rows": 100,
    "test_rows": 851,
    "fewer_rows": ["validation", "test"],
    "steps_without_limit": 452,
}


def training(steps: int, stopped_early: bool = False, **changes: object) -> dict[str, object]:
    return {"steps": steps, "seconds": 40.0, "stopped_early": stopped_early, "budget": {**BUDGET, **changes}}


def test_the_steps_and_the_rows_are_named():
    first, second = statements(training(57))
    assert "90s" in first
    assert "57 of 452" in first
    assert "100 validation rows, 851 test rows" in second


def test_a_budget_that_left_nothing_out_names_no_rows():
    (first,) = statements(training(452, fewer_rows=[]))
    assert "all 452" in first
    assert "no optimizer step" in statements(training(0))[0]
    assert "all 113" in statements(training(113, stopped_early=True))[0]


def test_a_run_without_a_budget_says_nothing():
    assert statements(None) == statements({"steps": 3}) == []
