"""Routes, limits and refusals, on a real server with a model of three lines."""

import base64
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from toolkit.errors import DataError
from toolkit.recipes import Column
from toolkit.report.ask import page
from toolkit.serve.app import LOOPBACK, create_app
from toolkit.serve.limits import Limits
from toolkit.serve.run import listen, serve

TEXT = (Column("text", ("text",)), Column("text_pair", ("text_pair",), required=False))


class Echo:
    """Finds texts with an exclamation mark positive; what is blank has a problem, and "crash" ends in a fault."""

    name = "org/echo"

    def __init__(self, inputs=TEXT, explains=True) -> None:
        self.inputs = inputs
        self.explainer = object() if explains else None
        self.seen: list[Any] = []

    def describe(self):
        facts = {"model": self.name, "task": "sentiment", "labels": ["no", "yes"], "device": "cpu"}
        return {**facts, "calibrated": False, "explains": self.explainer is not None}

    def answer(self, inputs):
        self.seen += inputs
        return [self._one(str(next(iter(one.values())))) for one in inputs]

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

    def explain(self, given, method):
        if method == "wrong":
            raise DataError("There is no method `wrong`.", "Methods: leave-one-out.")
        words = given["text"].split()
        return {
            "prediction": "yes", "score": 0.75, "method": {"name": "m", "title": "M", "about": "a"}, "signed": True,
            "words": words, "scores": [1.0] * len(words), "belief": "little",
        }  # fmt: skip


@contextmanager
def running(service: Any = None, hosts=LOOPBACK, shown=None, **limits: Any) -> Iterator[str]:
    """Serve on a free port while the block lasts."""
    import uvicorn

    bounds = Limits(**limits)
    opened = listen("127.0.0.1", 0)
    kept: list[uvicorn.Server] = []
    started = threading.Event()
    app = create_app(service or Echo(), bounds, hosts, shown)
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


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(body_bytes=4096, characters=100, inputs=3) as found:
        yield found


def test_texts_and_inputs_are_answered_in_order(address):
    code, said = post(f"{address}/predict", {"inputs": ["good!", {"text": "dull", "text_pair": "why"}]})
    assert code == 200
    assert said["model"] == "org/echo"
    assert [one["prediction"] for one in said["predictions"]] == ["yes", "no"]
    assert said["predictions"][0]["scores"] == {"no": 0.25, "yes": 0.75}
    assert "calibrated_score" not in said["predictions"][0]


def test_it_says_what_it_is(address):
    code, said = fetch(f"{address}/health")
    assert (code, said["status"], said["model"], said["waiting"]) == (200, "ok", "org/echo", 0)


def test_an_answer_is_explained(address):
    code, said = post(f"{address}/explain", {"input": "good film!"})
    assert (code, said["words"], said["belief"]) == (200, ["good", "film!"], "little")
    assert post(f"{address}/explain", {"input": "x", "method": "wrong"}) == (
        422,
        {"problem": "There is no method `wrong`.", "fix": "Methods: leave-one-out."},
    )


@pytest.mark.parametrize(
    ("body", "code", "problem"),
    [
        ({"inputs": []}, 422, "`inputs` is empty."),
        ({"inputs": ["a"] * 4}, 422, "`inputs` has 4 entries, and 3 are allowed."),
        ({"inputs": ["a" * 101]}, 422, "input 1 is longer than 100 characters."),
        ({"inputs": ["a", {"text": "a" * 101}]}, 422, "`text` of input 2 is longer than 100 characters."),
        ({"inputs": [""]}, 422, "input 1 is empty."),
        (
            {"inputs": [{"txt": "a"}]},
            422,
            "fit: `text` of input 1 is missing; `txt` of input 1 is no key that is known here.",
        ),
        ({"inputs": [{"text_pair": "a"}]}, 422, "fit: `text` of input 1 is missing."),
        ({"inputs": [7]}, 422, "fit: input 1 is no text."),
        ({"inputs": [7] * 3 + ["a"] * 9}, 422, "12 entries"),
        ({"input": ["a"]}, 422, "`inputs` is missing; `input` is no key that is known here."),
        ({"inputs": ["a"], "more": 1}, 422, "`more` is no key that is known here."),
        ([7], 422, "the body is no object with keys."),
        (b'{"inputs": ["a"', 422, "the body is not JSON: Expecting ',' delimiter, at character 16."),
        (b"", 422, "The request has no body."),
        (b"\xff\xfe", 422, "the body is not JSON"),
        (b'{"inputs": ["\xff\xfe"]}', 422, "The body is not JSON that can be read"),
        (b'{"inputs": ' + b"[" * 1900 + b"]" * 1900 + b"}", 422, "The body is not JSON that can be read"),
        ({"inputs": ["fine", "  ", " "]}, 422, "Input 2 cannot be answered: `text` is empty. So do 1 more."),
        ({"inputs": ["x" * 5000]}, 413, "larger than 4,096 bytes"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(address, body, code, problem):
    got, said = post(f"{address}/predict", body)
    assert got == code, said
    assert set(said) == {"problem", "fix"}
    assert problem in said["problem"]
    assert post(f"{address}/predict", {"inputs": ["good!"]})[0] == 200


def test_a_fault_keeps_its_secrets(address, caplog):
    code, said = post(f"{address}/predict", {"inputs": ["crash"]})
    assert code == 500
    assert "secret" not in json.dumps(said)


def test_other_addresses_and_methods(address):
    for path, code, problem in (
        ("/nowhere", 404, "There is no /nowhere here."),
        ("/predict/", 404, "There is no /predict/ here."),
        ("/", 404, "There is no / here."),
        ("/predict", 405, "/predict takes POST, and not GET."),
    ):
        got, said = fetch(f"{address}{path}")
        assert (got, said["problem"]) == (code, problem)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/predict")
    with refused.value:
        assert refused.value.headers["Allow"] == "POST"


def test_a_name_that_is_not_its_own_is_refused(address):
    """So that a web page cannot reach it by a name that was pointed at this machine."""
    code, said = post(f"{address}/predict", {"inputs": ["a"]}, Host="pages.example:80")
    assert (code, said["problem"]) == (400, "This service does not go by the name `pages.example`.")
    for name in ("localhost", "LocalHost:1", "[::1]:8000"):
        assert post(f"{address}/predict", {"inputs": ["a"]}, Host=name)[0] == 200
    with running(hosts=["fe80::1"]) as another:
        assert post(f"{another}/predict", {"inputs": ["a"]}, Host="[FE80::1]:8000")[0] == 200
    with running(hosts=["*"]) as anybody:
        assert post(f"{anybody}/predict", {"inputs": ["a"]}, Host="pages.example")[0] == 200


def test_a_form_of_another_page_is_refused(address):
    """A page elsewhere may send a plain form without asking; JSON it may not."""
    code, said = post(f"{address}/predict", {"inputs": ["a"]}, **{"Content-Type": "text/plain"})
    assert (code, said["problem"]) == (415, "The Content-Type is `text/plain`, and not JSON.")
    assert "application/json" in said["fix"]


@pytest.mark.parametrize("head", ["GET / HTTP/1.1", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x", "hello"])
def test_what_is_no_http_is_refused_in_the_same_shape(address, head):
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=10) as line:
        line.sendall(f"{head}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in head
    assert set(json.loads(body)) == {"problem", "fix"}


def test_who_sends_far_too_much_hears_why(address):
    """A line that is cut while the caller sends gives no answer at all."""
    assert post(f"{address}/predict", b"x" * 5_000_000)[0] == 413


def test_more_requests_than_there_may_be_are_told_when_to_come_again():
    codes: list[int] = []

    def ask() -> None:
        codes.append(post(f"{address}/predict", {"inputs": ["slow"]})[0])

    with running(connections=1) as address:
        callers = [threading.Thread(target=ask) for _ in range(4)]
        for one in callers:
            one.start()
        for one in callers:
            one.join()
        assert post(f"{address}/predict", {"inputs": ["good!"]})[0] == 200
    assert sorted(codes) == [200, 503, 503, 503]


def test_openapi_describes_the_inputs_of_the_model(address):
    described = fetch(f"{address}/openapi.json")[1]
    assert set(described["paths"]) == {"/health", "/predict", "/explain"}
    fields = described["components"]["schemas"]["Input"]
    assert (set(fields["properties"]), fields["required"]) == ({"text", "text_pair"}, ["text"])
    assert described["components"]["schemas"]["Ask"]["properties"]["inputs"]["maxItems"] == 3


def test_pictures_come_in_base64():
    service = Echo((Column("image", ("image",), kind="image"),), explains=False)
    data = base64.b64encode(b"PNG").decode()
    with running(service) as address:
        assert post(f"{address}/predict", {"inputs": [data, {"image": f"data:image/png;base64,{data}"}]})[0] == 200
        assert service.seen == [{"image": {"bytes": b"PNG"}}] * 2
        code, said = post(f"{address}/predict", {"inputs": ["/etc/passwd"]})
        assert (code, said["problem"]) == (422, "Input 1 is not base64.")
        assert post(f"{address}/explain", {"input": data})[0] == 404


def test_what_takes_too_long_is_given_up():
    with running(seconds=0.1) as address:
        code, said = post(f"{address}/predict", {"inputs": ["slow"]})
    assert (code, said["problem"]) == (504, "The answer took too long.")


def test_too_many_are_told_when_to_come_again():
    with running(waiting=1, batch=1) as address:
        codes: list[tuple[int, Any]] = []
        ask = [
            threading.Thread(target=lambda: codes.append(post(f"{address}/predict", {"inputs": ["slow"]})))
            for _ in range(6)
        ]
        for one in ask:
            one.start()
        for one in ask:
            one.join()
    assert {code for code, _ in codes} == {200, 503}


def test_the_page_holds_the_model_s_name_as_text():
    service = Echo()
    service.name = "<script>alert(1)</script>"
    shown = page(service.describe(), service.inputs, 100)
    assert "<script>alert" not in shown
    with running(service, shown=shown) as address:
        code, said = fetch(f"{address}/")
    assert (code, said) == (200, shown)
