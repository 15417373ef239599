"""A model of three lines behind the real service."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from toolkit.errors import DataError
from toolkit.serve.app import LOOPBACK, create_app
from toolkit.serve.limits import Limits
from toolkit.serve.messages import ServedModel
from toolkit.serve.run import listen, serve
from toolkit.tasks.inputs import text as text_input
from toolkit.tasks.task import Column

TEXT = (
    Column("text", ("text",), text_input.TEXT),
    Column("text_pair", ("text_pair",), text_input.TEXT, required=False),
)


class Echo:
    """Finds texts with an exclamation mark positive; what is blank has a problem, and "crash" ends in a fault."""

    name = "org/echo"
    hub_task = "text-classification"

    def __init__(self, inputs=TEXT, explains=True) -> None:
        self.inputs = inputs
        self.explainer = object() if explains else None
        self.seen: list[Any] = []

    def describe(self):
        return ServedModel(self.name, "sentiment", ["no", "yes"], "cpu", False, self.explainer is not None)

    def info(self):
        columns = [{"name": c.role, "kind": c.kind.name, "required": c.required} for c in self.inputs]
        promises = {"max_error": None, "sets": None, "max_length": 64}
        return {
            **asdict(self.describe()),
            **promises,
            "hub_task": self.hub_task,
            "inputs": columns,
            "versions": {"toolkit": "1"},
        }

    def answer(self, inputs):
        self.seen += inputs
        return [self._one(str(next(iter(item.values())))) for item in inputs]

    def _one(self, text):
        if text == "crash":
            raise RuntimeError("a secret of this machine")
        if text == "slow":
            time.sleep(0.5)
        if not text.strip():
            return {"prediction": None, "score": None, "problem": "`text` is empty"}
        yes = 0.75 if "!" in text else 0.25
        label = "yes" if yes > 0.5 else "no"
        return {
            "prediction": label,
            "score": max(yes, 1 - yes),
            "score: no": 1 - yes,
            "score: yes": yes,
            "problem": None,
        }

    def explain(self, given, method, pause, label=None):
        if given["text"] == "long":
            for _ in range(40):
                time.sleep(0.05)
                pause()
        if method == "wrong":
            raise DataError("There is no method `wrong`.", "Methods: leave-one-out.", id="config.unknown-choice")
        words = given["text"].split()
        return {
            "prediction": "yes", "score": 0.75, "method": {"name": "m", "title": "M", "about": "a"}, "signed": True,
            "words": words, "scores": [1.0] * len(words), "belief": "little",
        }  # fmt: skip


@contextmanager
def running(service: Any = None, hosts=LOOPBACK, shown=None, beside=None, **limits: Any) -> Iterator[str]:
    """Serve on a free port while the block lasts."""
    import uvicorn

    bounds = Limits(**limits)
    opened = listen("127.0.0.1", 0)
    kept: list[uvicorn.Server] = []
    started = threading.Event()
    app = create_app(service or Echo(), bounds, hosts, shown, beside)
    thread = threading.Thread(target=serve, args=(app, opened, bounds, started.set, kept.append))
    thread.start()
    try:
        assert started.wait(10)
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
    finally:
        kept[0].should_exit = True
        thread.join(10)
        opened.close()


def post(address: str, body: Any, **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json", **headers})
    return fetch(request)


def fetch(request: Any) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            text, code = answer.read(), answer.status
    except urllib.error.HTTPError as error:
        with error:
            text, code = error.read(), error.code
    return code, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
