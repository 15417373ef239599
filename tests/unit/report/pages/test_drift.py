"""The page on batches of new rows: its course, escaped text, and records in which values are missing."""

from typing import Any

from toolkit.report.pages import drift

EVIL = "<img src=x onerror=alert(1)>"


def record(look: int, **shift: Any) -> dict[str, Any]:
    cell = {"value": 0.6, "low": 0.5, "high": 0.7}
    return {
        "created": "2026-01-02T03:04:05+00:00",
        "source": f"{EVIL}.csv",
        "rows_read": 5000,
        "unreadable": {
            "new": {"rows": 3, "of": 1000},
            "reference": {"rows": 0, "of": 900},
            "level": 0.00025,
            "p": 0.15,
            "claimed": False,
        },
        "fingerprint": f"sha256:{look}",
        "claimed": True,
        "level": 0.0025,
        "seed": 7,
        "period": 1,
        "look": look,
        "looks": 20,
        "shift": {
            "claimed": True,
            "level": 0.0025,
            "rows": 997,
            "domain": {**cell, "p": 0.001, "part": "words"},
            "predicted": [{"label": EVIL, "reference": cell, "new": {**cell, "value": 0.1 * look}}],
            "words": [{"word": EVIL, "reference": 0.1, "new": 0.9, "p": 0.001, "claimed": True}],
            "accuracy": {"title": "rows", "estimate": cell, "confidence": cell},
            "examples": [{"text": EVIL, "score": 0.9}],
            **shift,
        },
    }


def page(records: list[dict[str, Any]]) -> str:
    return drift.to_html({"records": records, "shown": records[-1], "model": EVIL, "command": EVIL, "version": "1"})


def test_texts_of_data_are_escaped() -> None:
    html = page([record(1), record(2)])
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html
    assert "<script" not in html


def test_each_batch_is_a_point_of_each_course() -> None:
    html = page([record(look) for look in (1, 2, 3)])
    assert html.count('<svg class="course"') == 4
    assert html.count("<circle") == 12
    missing = record(2, accuracy={"reason": "none"}, predicted=[])
    assert page([record(1), missing, record(3)]).count("<circle") == 3 + 2 + 2 + 2


def test_many_batches_show_the_latest() -> None:
    html = page([record(look) for look in range(1, 151)])
    assert html.count("<circle") == 400
    assert ">150: " in html.replace("<bdi>", "")
    assert ">50: " not in html.replace("<bdi>", "")


def test_text_for_a_terminal_says_sample_and_looks() -> None:
    text = drift.to_text(record(2))
    assert "5,000" in text
    assert "seed 7" in text
    assert "Look 2" in text
    assert "3 of 1,000 rows" in text
