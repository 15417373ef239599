"""The report in a real browser: no script runs, nothing is fetched, nothing is logged, in both colour schemes."""

import json
import re
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import CHROMIUM, QUIET, browser
from tests.support.reports import comparison, many_classes, sample
from toolkit.report.pages.render import to_html

POLICY = re.compile('<meta http-equiv="Content-Security-Policy"[^>]*>')
PICTURE = '<img src="http://127.0.0.1:9/picture.png" alt="">'

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: the page cannot be opened")


@dataclass
class Visit:
    """The result of one page: its document after loading, the browser's errors and all requests."""

    document: str
    console: list[str]
    requests: list[str]


def chromium(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the browser with a profile of its own."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def visit(folder: Path, html: str, scheme: str = "light") -> Visit:
    """Load a page and write down what happened."""
    page, log = folder / "page.html", folder / "net.json"
    page.write_text(html, encoding="utf-8")
    done = chromium(
        folder,
        "--enable-logging=stderr",
        "--v=0",
        f"--log-net-log={log}",
        f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
        "--virtual-time-budget=2000",
        "--dump-dom",
        page.as_uri(),
    )
    events: list[dict[str, Any]] = json.loads(log.read_text(encoding="utf-8"))["events"]
    requests = [event["params"] for event in events if "url" in event.get("params", {})]
    return Visit(
        document=done.stdout,
        console=[line for line in done.stderr.splitlines() if "CONSOLE" in line],
        # Requests of a page name its origin; the browser's own have none.
        requests=sorted({ask["url"] for ask in requests if ask.get("initiator", "not an origin") != "not an origin"}),
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_text_is_escaped_in_the_browser(tmp_path: Path, scheme: str) -> None:
    report = sample()
    report["title"] = f"</title>{PICTURE}<script>document.title = 'owned'</script>"
    report["evaluation"]["errors"][0]["file"] = f'"><a href="http://127.0.0.1:9/">{PICTURE}'
    seen = visit(tmp_path, to_html(report), scheme)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in seen.document
    assert "<script" not in seen.document
    assert "<img" not in seen.document
    assert seen.console == []
    assert seen.requests == []


def test_browser_detects_violations(tmp_path: Path) -> None:
    """The check above can fail: a live picture is refused aloud by the policy, and asked for without it."""
    live = to_html(sample()).replace("</main>", f"{PICTURE}</main>")
    refused = visit(tmp_path, live)
    assert any("Content Security Policy" in line for line in refused.console)
    assert refused.requests == []
    requested = visit(tmp_path, POLICY.sub("", live))
    assert requested.requests == ["http://127.0.0.1:9/picture.png"]


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_the_page_follows_the_colour_scheme(tmp_path: Path, scheme: str, bright: bool) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(to_html(sample()), encoding="utf-8")
    scheme_setting = f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"
    chromium(tmp_path, scheme_setting, f"--screenshot={picture}", "--window-size=1100,900", page.as_uri())
    assert (min(first_pixel(picture)) > 200) is bright


@pytest.mark.parametrize("report", [sample(), many_classes(), comparison()], ids=["two", "many", "comparison"])
def test_the_page_fits_a_phone(tmp_path: Path, report: dict[str, Any]) -> None:
    """Only boxes meant for it scroll sideways: the page itself is no wider than a screen of 360 pixels."""
    measure = (
        "<script>onload = () => {const d = frames[0].document.documentElement;"
        "document.title = `${d.scrollWidth} of ${d.clientWidth}`}</script>"
    )
    frame = tmp_path / "frame.html"
    (tmp_path / "page.html").write_text(to_html(report), encoding="utf-8")
    frame.write_text(f"{measure}<iframe src=page.html style='border:0;width:360px;height:800px'></iframe>")
    document = chromium(tmp_path, "--allow-file-access-from-files", "--dump-dom", frame.as_uri()).stdout
    assert "<title>360 of 360</title>" in document


def test_page_is_usable_by_keyboard(tmp_path: Path) -> None:
    """Tab goes through the skip link, the contents, every table that may scroll and every heading that opens."""
    (tmp_path / "page.html").write_text(to_html(sample()), encoding="utf-8")
    with browser() as page:
        page.open((tmp_path / "page.html").as_uri())
        usable = page.evaluate(
            "{const all = [...document.querySelectorAll('a, summary, [tabindex=\"0\"]')]"
            ".filter(element => element.checkVisibility({contentVisibilityAuto: true}));"
            "all.forEach((element, number) => element.dataset.number = number); all.length}"
        )
        reached = []
        for _ in range(usable):
            page.press("Tab", 9)
            reached.append(page.evaluate("Number(document.activeElement.dataset.number ?? -1)"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        assert sorted(reached) == list(range(usable))
        assert page.evaluate("document.querySelectorAll('nav a, summary, .box').length") > 15
        page.evaluate("document.querySelector('summary').focus()")
        page.press("Enter", 13, text="\r")
        assert page.evaluate("document.querySelector('details').open")
        assert page.complaints == []


def first_pixel(picture: Path) -> tuple[int, ...]:
    """Red, green and blue of the top left pixel of a PNG, which every row filter leaves as it is."""
    data, position, packed = picture.read_bytes(), 8, b""
    while position < len(data):
        length, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        packed += data[position + 8 : position + 8 + length] if kind == b"IDAT" else b""
        position += length + 12
    return tuple(zlib.decompress(packed)[1:4])
