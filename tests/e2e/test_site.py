"""The documents as a site: it builds without a warning, and asks nothing of the network."""

import json
import os
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import documents
from tests.support.browser import CHROMIUM, browser

ELEMENT = re.compile(r"<(?:script|link|img|iframe|source|video|audio|object|embed)\b[^>]*>", re.I)
LOADED = re.compile(r"\b(?:src|srcset|data)=[\"']?(?:https?:)?//|<link\b[^>]*\bhref=[\"']?(?:https?:)?//", re.I)
IN_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", re.I)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=documents.ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_built_and_found_by_the_search(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    for path in documents.DOCS.rglob("*.md"):
        name = path.relative_to(documents.DOCS).with_suffix("").as_posix()
        place = "" if name == "index" else f"{name}/"
        assert (site / place / "index.html").is_file()
        assert place in found
    assert any("out of memory" in entry["title"] for entry in index["docs"])


def test_nothing_is_loaded_from_the_network(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    elements = [tag for page in pages for tag in ELEMENT.findall(page.read_text(encoding="utf-8"))]
    assert any("assets/" in tag for tag in elements)
    assert [tag for tag in elements if LOADED.search(tag)] == []
    styles = list(site.rglob("*.css"))
    assert styles
    assert [style.name for style in styles if IN_STYLE.search(style.read_text(encoding="utf-8"))] == []
    assert LOADED.search('<link rel="stylesheet" href="https://fonts.example/a.css">')
    assert LOADED.search("<script src=//cdn.example/a.js>")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: the site cannot be opened")
def test_search_works_without_network_and_pages_fit_a_phone(site: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with browser() as page:
            page.size(1200, 900)
            page.open(address)
            page.evaluate("document.querySelector('[data-md-component=search-query]').focus()")
            page.type("out of memory")
            links = "[...document.querySelectorAll('.md-search-result__link')].map(link => link.href)"
            page.wait(f"{links}.length > 0")
            assert any("how-to/training/#cuda-out-of-memory" in link for link in page.evaluate(links))
            page.size(400, 900)
            for name in ("", "commands/", "first-hour/", "how-to/training/"):
                page.open(address + name)
                assert page.evaluate("document.documentElement.scrollWidth") <= 400
            assert page.complaints == []
            assert [url for url in page.requests if not url.startswith((address, "data:"))] == []
        server.shutdown()
