"""Routes, limits and refusals, on a real server with a model of three lines."""

import base64
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from tests.support.echo import Echo, fetch, post, running
from toolkit.report.pages.service import page
from toolkit.serve.limits import Limits
from toolkit.tasks.inputs.image import IMAGE
from toolkit.tasks.task import Column


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(body_bytes=4096, characters=100, inputs=3) as result:
        yield result


def test_texts_and_inputs_are_answered_in_order(address):
    code, response = post(f"{address}/predict", {"inputs": ["good!", {"text": "dull", "text_pair": "why"}]})
    assert code == 200
    assert response["model"] == "org/echo"
    assert [item["prediction"] for item in response["predictions"]] == ["yes", "no"]
    assert response["predictions"][0]["scores"] == {"no": 0.25, "yes": 0.75}
    assert "calibrated_score" not in response["predictions"][0]


def test_health_describes_the_model(address):
    code, response = fetch(f"{address}/health")
    assert (code, response["status"], response["model"], response["waiting"]) == (200, "ok", "org/echo", 0)


def test_an_answer_is_explained(address):
    code, response = post(f"{address}/explain", {"input": "good film!"})
    assert (code, response["words"], response["belief"]) == (200, ["good", "film!"], "little")
    assert post(f"{address}/explain", {"input": "x", "method": "wrong"}) == (
        422,
        {"problem": "There is no method `wrong`.", "fix": "Methods: leave-one-out.", "id": "config.unknown-choice"},
    )


@pytest.mark.parametrize(
    ("body", "code", "problem"),
    [
        ({"inputs": []}, 422, "`inputs` is empty."),
        ({"inputs": ["a"] * 4}, 422, "`inputs` has 4 entries, and 3 are allowed."),
        ({"inputs": [7] * 3 + ["a"] * 9}, 422, "12 entries"),
        ({"input": ["a"]}, 422, "`inputs` is missing; `input` is an unknown key."),
        ({"inputs": ["a"], "more": 1}, 422, "`more` is an unknown key."),
        ([7], 422, "the body is not an object."),
        (b'{"inputs": ["a"', 422, "not valid JSON: Expecting ',' delimiter, at character 16."),
        (b"", 422, "The request has no body."),
        (b"\xff\xfe", 422, "not valid JSON"),
        (b'{"inputs": ["\xff\xfe"]}', 422, "The body is not valid JSON"),
        (b'{"inputs": ' + b"[" * 1900 + b"]" * 1900 + b"}", 422, "The body is not valid JSON"),
        ({"inputs": ["x" * 5000]}, 413, "larger than 4,096 bytes"),
    ],
)
def test_bad_request_gets_the_reason(address, body, code, problem):
    got, response = post(f"{address}/predict", body)
    assert got == code, response
    assert set(response) == {"problem", "fix"}
    assert problem in response["problem"]
    assert post(f"{address}/predict", {"inputs": ["good!"]})[0] == 200


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("a" * 101, "it is longer than 100 characters"),
        ({"text": "a" * 101}, "`text` is longer than 100 characters"),
        ("", "it is empty"),
        ("  ", "`text` is empty"),
        ({"txt": "a"}, "`text` is missing; `txt` is an unknown key"),
        ({"text_pair": "a"}, "`text` is missing"),
        (7, "it is not a text"),
        (None, "it is not a text"),
        ("crash", "The model failed on this input."),
    ],
)
def test_bad_input_does_not_affect_others(address, bad, problem):
    code, response = post(f"{address}/predict", {"inputs": ["good!", bad, "dull"]})
    assert code == 200, response
    first, wrong, last = response["predictions"]
    assert (first["prediction"], last["prediction"]) == ("yes", "no")
    assert set(wrong) == {"problem", "fix"}
    assert problem in wrong["problem"]
    assert "secret" not in json.dumps(response)


def test_each_bad_input_gets_its_problem(address):
    code, response = post(f"{address}/predict", {"inputs": ["", 7]})
    assert (code, [set(item) for item in response["predictions"]]) == (200, [{"problem", "fix"}] * 2)


def test_a_fault_keeps_its_secrets(address, caplog):
    code, response = post(f"{address}/predict", {"inputs": ["crash"]})
    assert code == 500
    assert "secret" not in json.dumps(response)


def test_other_addresses_and_methods(address):
    for path, code, problem in (
        ("/nowhere", 404, "There is no route /nowhere."),
        ("/predict/", 404, "There is no route /predict/."),
        ("/docs/", 404, "There is no route /docs/."),
        ("/predict", 405, "/predict supports POST, not GET."),
    ):
        got, response = fetch(f"{address}{path}")
        assert (got, response["problem"]) == (code, problem)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/predict")
    with refused.value:
        assert refused.value.headers["Allow"] == "POST"


def test_a_name_that_is_not_its_own_is_refused(address):
    """So that a web page cannot reach it by a name that was pointed at this machine."""
    code, response = post(f"{address}/predict", {"inputs": ["a"]}, Host="pages.example:80")
    assert (code, response["problem"]) == (400, "The host name `pages.example` is not allowed.")
    for name in ("localhost", "LocalHost:1", "[::1]:8000"):
        assert post(f"{address}/predict", {"inputs": ["a"]}, Host=name)[0] == 200
    with running(hosts=["fe80::1"]) as another:
        assert post(f"{another}/predict", {"inputs": ["a"]}, Host="[FE80::1]:8000")[0] == 200
    with running(hosts=["*"]) as anybody:
        assert post(f"{anybody}/predict", {"inputs": ["a"]}, Host="pages.example")[0] == 200


def test_a_form_of_another_page_is_refused(address):
    """A page elsewhere may send a plain form without asking; JSON it may not."""
    code, response = post(f"{address}/predict", {"inputs": ["a"]}, **{"Content-Type": "text/plain"})
    assert (code, response["problem"]) == (415, "The Content-Type is `text/plain`, not JSON.")
    assert "application/json" in response["fix"]


@pytest.mark.parametrize("head", ["GET / HTTP/1.1", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x", "hello"])
def test_invalid_http_gets_the_common_error_form(address, head):
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=10) as line:
        line.sendall(f"{head}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in head
    assert set(json.loads(body)) == {"problem", "fix"}


def test_oversized_body_gets_the_reason(address):
    """A line that is cut while the caller sends gives no answer at all."""
    assert post(f"{address}/predict", b"x" * 5_000_000)[0] == 413


def test_excess_requests_get_503_with_retry_after():
    codes: list[int] = []

    def ask() -> None:
        codes.append(post(f"{address}/predict", {"inputs": ["slow"]})[0])

    with running(connections=1) as address:
        callers = [threading.Thread(target=ask) for _ in range(4)]
        for item in callers:
            item.start()
        for item in callers:
            item.join()
        assert post(f"{address}/predict", {"inputs": ["good!"]})[0] == 200
    assert sorted(codes) == [200, 503, 503, 503]


def test_openapi_describes_the_inputs_of_the_model(address):
    described = fetch(f"{address}/openapi.json")[1]
    assert set(described["paths"]) == {"/", "/health", "/info", "/metrics", "/predict", "/explain"}
    fields = described["components"]["schemas"]["Input"]
    assert (set(fields["properties"]), fields["required"]) == ({"text", "text_pair"}, ["text"])
    several, _one = described["components"]["schemas"]["Ask"]["properties"]["inputs"]["oneOf"]
    assert several["maxItems"] == 3


def test_examples_of_the_description_are_answered(address):
    paths = fetch(f"{address}/openapi.json")[1]["paths"]
    for path in ("/", "/predict"):
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert post(f"{address}{path}", body)[0] == 200
    assert (
        paths["/explain"]["post"]["requestBody"]["content"]["application/json"]["example"]["input"] == body["inputs"][0]
    )


def test_pictures_come_in_base64():
    service = Echo((Column("image", ("image",), IMAGE),), explains=False)
    data = base64.b64encode(b"PNG").decode()
    with running(service) as address:
        assert post(f"{address}/predict", {"inputs": [data, {"image": f"data:image/png;base64,{data}"}]})[0] == 200
        assert service.seen == [{"image": {"bytes": b"PNG"}}] * 2
        code, response = post(f"{address}/predict", {"inputs": ["/etc/passwd"]})
        assert (code, response["predictions"][0]["problem"]) == (200, "The file is not valid base64.")
        assert post(f"{address}/explain", {"input": data})[0] == 404
        content = fetch(f"{address}/openapi.json")[1]["paths"]["/predict"]["post"]["requestBody"]["content"]
        assert "example" not in content["application/json"]  # a file cannot be written here


def test_slow_request_times_out():
    with running(seconds=0.1) as address:
        code, response = post(f"{address}/predict", {"inputs": ["slow"]})
    assert (code, response["problem"]) == (504, "The request took too long.")


def test_full_queue_gives_503_with_retry_after():
    with running(waiting=1, batch=1) as address:
        codes: list[tuple[int, Any]] = []
        ask = [
            threading.Thread(target=lambda: codes.append(post(f"{address}/predict", {"inputs": ["slow"]})))
            for _ in range(6)
        ]
        for item in ask:
            item.start()
        for item in ask:
            item.join()
    assert {code for code, _ in codes} == {200, 503}


def test_the_page_holds_the_model_s_name_as_text():
    service = Echo()
    service.name = "<script>alert(1)</script>"
    shown = page(asdict(service.describe()), service.inputs, Limits(), {})
    assert "<script>alert" not in shown
    with running(service, shown=shown) as address:
        code, response = fetch(f"{address}/")
    assert (code, response) == (200, shown)


def test_predictions_are_answered_in_the_midst_of_explanations():
    with running() as address:
        explained: list[tuple[int, Any]] = []
        slow = [
            threading.Thread(target=lambda: explained.append(post(f"{address}/explain", {"input": "long"})))
            for _ in range(3)
        ]
        for item in slow:
            item.start()
        time.sleep(0.3)
        took = []
        for _ in range(10):
            began = time.monotonic()
            assert post(f"{address}/predict", {"inputs": ["good!"]})[0] == 200
            took.append(time.monotonic() - began)
        assert not explained, "all of them were answered before the first explanation, which takes two seconds"
        for item in slow:
            item.join()
    assert [code for code, _ in explained] == [200] * 3
    assert sorted(took)[5] < 1


def test_abandoned_explanation_is_cancelled():
    with running(seconds=0.4) as address:
        assert post(f"{address}/explain", {"input": "long"})[0] == 504
        time.sleep(0.2)
        began = time.monotonic()
        assert post(f"{address}/predict", {"inputs": ["good!"]})[0] == 200
        assert fetch(f"{address}/health")[1]["waiting"] == 0
    assert time.monotonic() - began < 5


# --- connections ----------------------------------------------------------------------------------------------------


def line_to(address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=10)


def whole(body: dict[str, Any], *, close: bool = True) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return (head + ("\r\nConnection: close" if close else "") + "\r\n\r\n").encode() + data


def answer_of(line: socket.socket) -> bytes:
    return b"".join(iter(lambda: line.recv(65536), b""))


def one_answer(line: socket.socket) -> bytes:
    """Read the answer of a connection that stays open."""
    text = line.recv(65536)
    while not text.endswith(b"]}"):
        text += line.recv(65536)
    return text


HALVES = {"nothing": b"", "half a line": b"POST /pred", "half a head": b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"}


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_a_request_that_does_not_come_is_given_up(sent):
    with running(head_seconds=0.3) as address, line_to(address) as line:
        line.sendall(sent)
        response = answer_of(line)
    assert response.startswith(b"HTTP/1.1 408 ") if sent else response == b""
    if sent:
        assert set(json.loads(response.partition(b"\r\n\r\n")[2])) == {"problem", "fix"}


def test_a_head_that_drips_is_given_up_as_well():
    with running(head_seconds=0.5) as address, line_to(address) as line:
        began = time.monotonic()
        line.settimeout(0.1)
        output = b""
        for sign in whole({"inputs": ["a"]})[:60]:
            line.sendall(bytes([sign]))
            try:
                output = line.recv(100)
                break
            except TimeoutError:
                continue
    assert output.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 5


def test_a_second_request_has_its_own_time():
    with running(head_seconds=0.5) as address, line_to(address) as line:
        for _ in range(4):
            line.sendall(whole({"inputs": ["good!"]}, close=False))
            assert b"yes" in one_answer(line)
            time.sleep(0.2)
        line.sendall(b"POST /pre")
        assert answer_of(line).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_drips_is_given_up():
    with running(seconds=0.5, bytes_per_second=1000) as address, line_to(address) as line:
        request = whole({"inputs": ["a" * 400]})
        head, body = request[:-400], request[-400:]
        line.sendall(head)
        line.settimeout(0.1)
        output = b""
        for sign in body:
            try:
                line.sendall(bytes([sign]))
                output = line.recv(65536)
                break
            except TimeoutError:
                continue
    assert output.startswith(b"HTTP/1.1 408 ")


def test_idle_connections_block_no_others():
    with running(sockets=8) as address:
        silent = [line_to(address) for _ in range(30)]
        for line in silent[::2]:
            line.sendall(b"POST /predict HTTP/1.1\r\nHost: loc")
        try:
            for _ in range(5):
                assert post(f"{address}/predict", {"inputs": ["good!"]})[0] == 200
        finally:
            for line in silent:
                line.close()


def test_more_callers_than_connections_wait_and_are_all_answered():
    codes: list[int] = []
    with running(sockets=4) as address:
        callers = [
            threading.Thread(target=lambda: codes.append(post(f"{address}/predict", {"inputs": ["good!"]})[0]))
            for _ in range(40)
        ]
        for item in callers:
            item.start()
        for item in callers:
            item.join()
    assert codes == [200] * 40


def test_requests_before_shutdown_are_completed():
    """Requests that are being answered, that wait, and that nobody has looked at yet."""
    lines: list[socket.socket] = []
    with running(sockets=20) as address:
        kept = line_to(address)  # a reused connection
        kept.sendall(whole({"inputs": ["good!"]}, close=False))
        assert b"yes" in one_answer(kept)
        for number in range(12):
            line = line_to(address)
            line.sendall(whole({"inputs": ["slow" if number < 2 else "good!"]}, close=number % 2 == 0))
            lines.append(line)
        kept.sendall(whole({"inputs": ["good!"]}, close=False))
    for line in (*lines, kept):  # the end has come
        with line:
            response = answer_of(line)
        assert response.startswith(b"HTTP/1.1 200 "), response
