"""The section on recommended items."""

from toolkit.report.document.schema import REPORT, fill
from toolkit.report.sections.targets.recommendations import recommendations

RESULT = {
    "users": 40,
    "items": 1200,
    "coverage": 0.25,
    "popularity_ratio": {"value": 1.5, "low": 1.2, "high": 1.9},
    "unseen": 3,
    "repeats": 0,
    "exclude_seen": True,
    "items_in_history": 17.34,
}


def filled(result):
    return fill(REPORT["evaluation"]["recommendations"], result)


def test_figures_are_shown_with_their_rows():
    (section,) = recommendations(filled(RESULT), 200)
    (table,) = section.blocks
    assert [row[1].text for row in table.rows] == ["25.0 %", "1.500", "3 of 200", "0 of 200", "17.3"]
    assert "1,200 items" in section.lead
    assert "40 users" in section.lead
    (other,) = recommendations(filled({**RESULT, "exclude_seen": False, "users": None}), 200)
    assert "exclude_seen=false" in other.lead
    assert "users" not in other.lead


def test_other_tasks_have_no_such_section():
    assert recommendations(filled({}), 200) == []
