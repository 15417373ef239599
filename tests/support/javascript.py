"""transformers.js, in node and in a browser, for tests of exports.

The tests never fetch it: `TOOLKIT_NODE_PACKAGES` names a folder into which `npm install @huggingface/transformers` put
it, as `.ci/run` does.
"""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import CHROMIUM, browser

_VARIABLE = "TOOLKIT_NODE_PACKAGES"
_MODULES = Path(os.environ.get(_VARIABLE, "/nowhere")) / "node_modules"
_LIBRARY = _MODULES / "@huggingface" / "transformers" / "dist"
needs_package = pytest.mark.skipif(
    not _LIBRARY.is_dir(), reason=f"{_VARIABLE} names no folder with @huggingface/transformers"
)
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

_PROGRAM = """
const { env, pipeline } = require("@huggingface/transformers");
const [task, home, name, options, texts] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = home;
pipeline(task, name, JSON.parse(options))
  .then((predict) => predict(JSON.parse(texts)))
  .then((answers) => console.log(JSON.stringify(answers)));
"""
_PAGE = """<!doctype html><title>transformers.js</title><script type="module">
import { env, pipeline } from "/library/transformers.min.js";
env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = "/models/";
env.backends.onnx.wasm.wasmPaths = "/runtime/";
window.predict = async (task, name, options, texts) => (await pipeline(task, name, options))(texts);
</script>"""


def in_node(folder: Path, task: str, texts: Sequence[str], **options: Any) -> Any:
    """Return the predictions of transformers.js in node for a model folder."""
    arguments = (task, str(folder.parent), folder.name, json.dumps(options), json.dumps(texts))
    return json.loads(ran(_PROGRAM, *arguments))


def ran(program: str, *arguments: str) -> str:
    """Run a program of JavaScript in node, and return what it prints."""
    env = {**os.environ, "NODE_PATH": str(_MODULES)}
    done = subprocess.run(["node", "-", *arguments], input=program, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_browser(folder: Path, task: str, texts: Sequence[str], **options: Any) -> tuple[Any, list[str]]:
    """Return the predictions of transformers.js in Chromium for a model folder, and the requested addresses."""
    call = ", ".join(json.dumps(value) for value in (task, folder.name, options, texts))
    with _served(folder) as address, browser() as page:
        page.open(f"{address}/index.html")
        page.wait("window.predict !== undefined")
        answers = page.evaluate(f"window.predict({call})")
        assert all(request.startswith((address, "blob:", "about:", "data:")) for request in page.requests)
        return answers, page.requests


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve the library and a model folder on the loopback interface; yields the address."""
    places = {
        "library": _LIBRARY,
        "runtime": _MODULES / "onnxruntime-web" / "dist",
        "models": folder.parent,
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, places))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    """Files of some folders, and the page."""

    def __init__(self, places: dict[str, Path], *arguments: Any) -> None:
        self._places = places
        self.extensions_map = {**self.extensions_map, ".mjs": "text/javascript", ".wasm": "application/wasm"}
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.path == "/index.html":
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(_PAGE.encode())
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        first, _, rest = path.split("?")[0].lstrip("/").partition("/")
        return str(self._places[first] / rest) if first in self._places else "/nowhere"

    def log_message(self, *_: Any) -> None:
        pass
