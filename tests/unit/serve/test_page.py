"""The page of `toolkit app` in a browser: an example, a file of rows, two models, abstentions, a phone, a keyboard."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import CHROMIUM, browser
from tests.support.echo import Echo, running
from toolkit.report.pages.service import page
from toolkit.serve.limits import Limits

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: the page cannot be opened")
TAB = ("Tab", 9)


class Unsure(Echo):
    """Abstains from texts without an exclamation mark."""

    name = "org/unsure"

    def _one(self, text: str) -> dict[str, Any]:
        answer = super()._one(text)
        if answer["problem"] is None:
            abstained = None if "!" in text else "no has a score of 0.750"
            answer |= {"abstained": abstained, "set": ["no", "yes"]}
            answer["prediction"] = None if abstained else answer["prediction"]
        return answer


def shown(service: Echo, example: dict[str, str], beside: Echo | None = None) -> str:
    return page(asdict(service.describe()), service.inputs, Limits(), example, beside and beside.name)


def part(name: str) -> str:
    return f"document.querySelector('[data-part={name}]').textContent"


def test_it_opens_with_an_example_and_its_answer_and_fits_a_phone():
    service, second = Echo(), Unsure()
    html = shown(service, {"text": "</textarea>so <b>good</b>!"}, second)
    with running(service, shown=html, beside=second) as address, browser() as tab:
        for width in (400, 1200):
            tab.size(width, 900)
            tab.open(f"{address}/")
            tab.wait("!document.getElementById('reasons').hidden")
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate("document.querySelector('textarea').value") == "</textarea>so <b>good</b>!"
        assert (tab.evaluate(part("prediction")), tab.evaluate(part("prediction-beside"))) == ("yes", "yes")
        tab.type("dull")  # replaces the example, which is selected
        tab.press("Enter", 13, 2)
        tab.wait("document.getElementById('answer').hidden === false")
        assert tab.evaluate("document.querySelector('textarea').value") == "dull"
        assert (tab.evaluate(part("prediction")), tab.evaluate(part("prediction-beside"))) == ("no", "No answer")
        assert "0.750" in tab.evaluate(part("sure-beside"))
        assert "set of classes: no, yes" in tab.evaluate(part("sure-beside"))
        assert tab.complaints == []
        assert all(request.startswith(address) for request in tab.requests)


def test_the_keyboard_reaches_each_control_in_order_and_shows_where_it_is():
    service = Echo()
    with running(service, shown=shown(service, {"text": "good!"})) as address, browser() as tab:
        tab.open(f"{address}/")
        tab.wait("!document.getElementById('reasons').hidden")
        reached = []
        for _ in range(4):
            reached.append(tab.evaluate("document.activeElement.id || document.activeElement.type"))
            assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            tab.press(*TAB)
        assert reached == ["input-text", "input-text_pair", "submit", "table"]
        unnamed = "[...document.querySelectorAll('input, textarea')].filter(e => !e.labels.length).length"
        assert tab.evaluate(unnamed) == 0
        live = "document.getElementById('answer').getAttribute('aria-live')"
        assert tab.evaluate(live) == "polite"
        assert tab.evaluate("document.querySelector('[data-part=progress]').getAttribute('role')") == "status"


ROWS = [("1", "good, they say!"), ("2", 'so "dull"\nit hurts'), ("3", ""), ("4", "<i>more</i>!"), ("5", "=1+1")]


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_file_of_rows_becomes_a_table_to_download(tmp_path, name):
    file = tmp_path / name
    write(file, [{"Id": number, "Text": text} for number, text in ROWS])
    service, second = Unsure(), Echo()
    with running(service, shown=shown(service, {}, second), beside=second, batch=2) as address, browser() as tab:
        tab.size(400, 900)
        tab.open(f"{address}/")
        tab.choose("#table", file)
        tab.wait("!document.querySelector('[data-part=download]').hidden")
        progress = tab.evaluate(part("progress"))
        table = tab.evaluate("document.querySelector('[data-part=preview] table').rows.length")
        cells = tab.evaluate(
            "[...document.querySelectorAll('[data-part=preview] tbody td:nth-child(2)')].map(c => c.textContent)"
        )
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400
        assert tab.complaints == []
        (tmp_path / "downloads").mkdir()
        written = tab.download("[data-part=download]", tmp_path / "downloads").read_bytes().decode()
    assert cells == [text for _, text in ROWS]
    assert table == len(ROWS) + 1
    for words in ("4 of 5", "1 with a problem", "2 without an answer"):
        assert words in progress
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert [(row["Id"], row["Text"]) for row in rows] == [(number, text) for number, text in ROWS]
    assert [row["prediction"] for row in rows] == ["yes", "", "", "yes", ""]
    assert [row["prediction (org/echo)"] for row in rows] == ["yes", "no", "", "yes", "no"]
    assert [bool(row["problem"]) for row in rows] == [False, False, True, False, False]


def test_a_row_of_another_width_is_not_predicted(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("id,text\n1,good!\n2,a,b\n", encoding="utf-8")
    service = Unsure()
    with running(service, shown=shown(service, {}, None)) as address, browser() as tab:
        tab.open(f"{address}/")
        tab.choose("#table", file)
        tab.wait("!document.querySelector('[data-part=download]').hidden")
        assert "1 of 2" in tab.evaluate(part("progress"))
        assert "3 fields where the header has 2" in tab.evaluate(
            "document.querySelector('[data-part=preview]').textContent"
        )


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a,b\n1,2\n", "`text`"), ('text\n"open', "quotation"), ("text\n", "no rows"), ("", "no rows")],
)
def test_a_file_that_does_not_fit_gets_the_reason(tmp_path, text, reason):
    file = tmp_path / "rows.csv"
    file.write_text(text)
    service = Echo()
    with running(service, shown=shown(service, {})) as address, browser() as tab:
        tab.open(f"{address}/")
        tab.choose("#table", file)
        tab.wait(f"{part('progress')}.includes({json.dumps(reason)})", 10)


def write(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        if file.suffix == ".csv":
            table = csv.DictWriter(stream, ["Id", "Text"])
            table.writeheader()
            table.writerows(rows)
        else:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
