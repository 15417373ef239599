"""The page of doubts: in a browser, with the keys that decide, and the sentences about what was found."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import CHROMIUM, Page, browser
from toolkit.commands.repair.find import COLUMNS
from toolkit.report.pages import repair

HOSTILE = '</script><script>document.title="no"</script><img src=x onerror=alert(1)>'
NOISE: dict[str, Any] = {
    "rate": 0.1,
    "low": 0.08,
    "high": 0.12,
    "p": 0.0,
    "precision": {"value": 0.9, "low": 0.8, "high": 0.95},
    "rows": 500,
    "expected": {"value": 50.0, "low": 40.0, "high": 60.0},
}


def summary(noise: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "run": "reviews",
        "fingerprint": "sha256:0",
        "rows": 500,
        "doubts": 3,
        "noise": noise,
        "searched": True,
        "reasons": {"label": 2, "near-duplicate": 1, "outlier": 1},
        "annotators": None,
    }


def line(row: int, text: str, suggestion: str, reason: str) -> dict[str, str]:
    values = ("train, old.csv", str(row), text, "good", suggestion, reason, "0.9", *("",) * 5)
    return dict(zip(COLUMNS, values, strict=True))


LINES = [
    line(4, HOSTILE, "bad", "label, near-duplicate"),
    line(9, "=1+1", "bad", "label"),
    line(17, "far away", "", "outlier"),
]


def html(choices: tuple[str, ...] = ("good", "bad", "=odd")) -> str:
    return repair.to_html(summary(NOISE), LINES, COLUMNS, choices, [None, None, None])


def test_sentences_say_how_many_are_wrong_or_that_possibly_none_is() -> None:
    wrong = repair.to_text(summary(NOISE))
    assert all(fact in wrong for fact in ("50", "40 to 60", "500", "8.0 % to 12.0 %", "90.0 %"))
    none = repair.to_text(summary({**NOISE, "low": 0.0, "expected": {"value": 5.0, "low": 0.0, "high": 9.0}}))
    assert "Between none and 9 of 500" in none
    assert "40.0 %" not in none
    unknown = {**NOISE, "low": 0.0, "high": 0.4, "expected": {"value": 5.0, "low": 0.0, "high": 200.0}}
    assert "40.0 %" in repair.to_text(summary(unknown))
    assert "90.0 %" not in none  # no precision is claimed
    assert "without a claim" in repair.to_text(summary())


def test_gain_is_shown_with_interval_and_the_noise_of_test_labels() -> None:
    gain = {
        "name": "accuracy",
        "title": "Accuracy",
        "unit": "fraction",
        "before": 0.8,
        "after": 0.9,
        "rows": 300,
        "value": 0.1,
        "low": 0.06,
        "high": 0.14,
        "p": 0.0002,
        "confidence": 0.95,
        "dropped": 2,
        "relabelled": 40,
    }
    text = repair.gain_to_text(gain)
    assert all(fact in text for fact in ("300", "< 0.001", "40", "improvement", repair.TEST_LABELS))
    assert "no significant difference" in repair.gain_to_text({**gain, "low": -0.01})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH: the page cannot be opened")
    with browser() as opened:
        yield opened


def shown(page: Page, part: str) -> str:
    return str(page.evaluate(f"document.getElementById('{part}').textContent"))


def decided(page: Page, folder: Path) -> list[list[str]]:
    """Download the decisions; return decision and new label of each row."""
    page._ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    page.press("s", 83)
    file = folder / "decisions.csv"
    for _ in range(200):
        if file.is_file():
            break
        page.evaluate("new Promise((done) => setTimeout(done, 50))")
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    file.unlink()
    assert rows[0] == list(COLUMNS)
    assert [row[:2] for row in rows[1:]] == [["train, old.csv", "4"], ["train, old.csv", "9"], ["train, old.csv", "17"]]
    assert [row[2] for row in rows[1:]] == [HOSTILE, "'=1+1", "far away"]
    return [row[-2:] for row in rows[1:]]


def test_keys_decide_and_decisions_stay(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "repair.html"
    file.write_text(html(), encoding="utf-8")
    page.open(file.as_uri())
    assert page.evaluate("document.title") == "Training data of reviews"
    assert shown(page, "text") == HOSTILE
    page.press("a", 65)  # the suggestion; the next row follows
    assert shown(page, "text") == "=1+1"
    page.press("d", 68)
    assert shown(page, "text") == "far away"
    assert page.evaluate("document.getElementById('accept').disabled")
    page.press("a", 65)  # there is none
    page.press("k", 75)
    assert decided(page, tmp_path) == [["relabel", "bad"], ["drop", ""], ["keep", ""]]
    page.press("u", 85)  # takes the last decision back, and shows its row again
    assert (shown(page, "text"), decided(page, tmp_path)[2]) == ("far away", ["", ""])
    page.press("u", 85)
    assert (shown(page, "text"), decided(page, tmp_path)[1]) == ("=1+1", ["", ""])
    page.press("d", 68)
    page.press("k", 75)
    page.press("ArrowLeft", 37)
    page.press("u", 85)  # after a move it clears the row that is shown
    assert decided(page, tmp_path) == [["relabel", "bad"], ["", ""], ["keep", ""]]
    page.press("e", 69)
    assert page.evaluate("document.activeElement.id") == "other"
    page.press("d", 68)  # in the field it is no decision
    page.evaluate("document.getElementById('other').value = '=odd'")
    page.evaluate("document.querySelector('#relabel button').click()")
    assert decided(page, tmp_path) == [["relabel", "bad"], ["relabel", "'=odd"], ["keep", ""]]
    page.open("about:blank")
    page.open(file.as_uri())
    assert "3 decided" in shown(page, "status")
    assert decided(page, tmp_path)[0] == ["relabel", "bad"]
    page.evaluate("localStorage.clear()")
    assert page.complaints == []
    assert [address for address in page.requests if not address.startswith(("file:", "data:", "about:", "blob:"))] == []


def test_buttons_decide_on_a_narrow_screen(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "repair.html"
    file.write_text(html(choices=()), encoding="utf-8")
    page.size(400, 800)
    page.open(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.evaluate("document.getElementById('keep').click()")
    page.evaluate("document.getElementById('previous').click()")
    assert page.evaluate("document.getElementById('keep').getAttribute('aria-pressed')") == "true"
    page.evaluate("document.getElementById('drop').focus()")
    page.press("Tab", 9)  # the focus is shown where the keyboard moved it
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.picture(tmp_path / "narrow.png")
    page.evaluate("document.getElementById('clear').click()")
    assert "0 decided" in shown(page, "status")
    page.evaluate("localStorage.clear()")
