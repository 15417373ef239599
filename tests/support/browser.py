"""A real browser to drive: headless Chromium over its debugging pipe, with no driver and no port."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # other requests of the browser end here
]


class Page:
    """One page of the browser.

    Attributes:
        complaints: Errors that the page logged, and requests that its policy refused.
        requests: Every requested address.
    """

    def __init__(self, to_browser: Any, from_browser: Any) -> None:
        self._out, self._in = to_browser, from_browser
        self._number = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            output = json.loads(self._message())
            if output.get("id") == self._number:
                assert "error" not in output, output["error"]
                return output["result"]
            self._note(output)

    def _message(self) -> bytes:
        read = bytearray()
        while not read.endswith(b"\0"):
            byte = self._in.read(1)
            assert byte, "the browser is gone"
            read += byte
        return bytes(read[:-1])

    def _note(self, event: dict[str, Any]) -> None:
        kind, facts = event.get("method"), event.get("params", {})
        if kind == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.complaints.append(facts["entry"]["text"])
        elif kind == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(facts["exceptionDetails"]))
        elif kind == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])

    def open(self, address: str) -> None:
        """Go to an address and wait until the page has loaded."""
        self._ask("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression."""
        done = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(condition):
            assert time.monotonic() < end, f"still not so: {condition}"
            time.sleep(0.05)

    def type(self, text: str) -> None:
        """Type into the focused element."""
        self._ask("Input.insertText", text=text)

    def press(self, key: str, code: int, modifiers: int = 0, text: str = "") -> None:
        """Press and release a key; modifiers: 2 is Ctrl, 8 is Shift; text is what the key types, if anything."""
        facts = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self._ask("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **facts)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **facts)

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in a file field."""
        root = self._ask("DOM.getDocument")["root"]["nodeId"]
        node = self._ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._ask("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def download(self, selector: str, folder: Path) -> Path:
        """Click a link that downloads a file, and return the file."""
        self._ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        file = folder / self.evaluate(f"document.querySelector('{selector}').download")
        self.evaluate(f"document.querySelector('{selector}').click()")
        end = time.monotonic() + 30
        while not file.exists():
            assert time.monotonic() < end, "nothing was downloaded"
            time.sleep(0.05)
        return file

    def dark(self, wanted: bool) -> None:
        """Prefer a colour scheme."""
        value = "dark" if wanted else "light"
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def size(self, width: int, height: int) -> None:
        """Make the window as wide and as high."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, file: Path) -> None:
        """Write a screenshot as a PNG file."""
        file.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))


@contextmanager
def browser() -> Iterator[Page]:
    """Start Chromium with a profile of its own, and yield a page of it."""
    assert CHROMIUM is not None
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        line = [CHROMIUM, *QUIET, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        # the browser reads commands from descriptor 3 and writes to 4
        shell = ["bash", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "-", *line]
        process = subprocess.Popen(
            shell, pass_fds=(commands, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(commands)
        os.close(answers)
        with os.fdopen(to_browser, "wb") as out, os.fdopen(from_browser, "rb") as incoming:
            try:
                yield Page(out, incoming)
            finally:
                process.terminate()
                process.wait(timeout=30)


def check_page(file: Path) -> None:
    """Open a report: it logs no error, fetches nothing, runs no script and fits a phone, in both colour schemes."""
    if CHROMIUM is None:
        return
    with browser() as page:
        for dark in (False, True):
            page.dark(dark)
            page.size(400, 900)
            page.open(file.as_uri())
            assert page.evaluate("document.scripts.length") == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.complaints == []
        assert {address.partition(":")[0] for address in page.requests} <= {"file", "data"}
        assert {address for address in page.requests if address.startswith("file:")} == {file.as_uri()}
