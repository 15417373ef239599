"""What clients of other programs send and get: pipelines, Prometheus, NDJSON, HEAD, and the description of it all."""

import asyncio
import base64
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from prometheus_client.parser import text_string_to_metric_families

from tests.support.echo import Echo, fetch, post, running
from toolkit.serve.batcher import Overloaded
from toolkit.serve.messages import Parameters, Ranked
from toolkit.serve.routes import stream
from toolkit.serve.routes.pipelines import PIPELINES
from toolkit.tasks.inputs.image import IMAGE
from toolkit.tasks.inputs.words import WORDS
from toolkit.tasks.targets import (
    generated_text,
    item,
    multi_label,
    number,
    ordinal,
    single_label,
    token_labels,
    transcript,
)
from toolkit.tasks.task import Column

GETS = ("/", "/health", "/info", "/metrics", "/openapi.json", "/docs")
YES, NO = {"label": "yes", "score": 0.75}, {"label": "no", "score": 0.25}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(body_bytes=100_000, characters=100, inputs=3, batch=2) as result:
        yield result


# --- pipelines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"inputs": "good!"}, [[YES, NO]]),
        ({"inputs": ["good!", {"text": "also good!"}]}, [[YES, NO]] * 2),
        ({"inputs": "good!", "parameters": {"top_k": 1}}, [[YES]]),
        ({"inputs": ["good!"], "parameters": {}}, [[YES, NO]]),
    ],
)
def test_a_client_of_a_pipeline_gets_its_form(address, body, expected):
    assert post(f"{address}/", body) == (200, expected)


def test_a_pipeline_s_client_gets_the_problem_of_an_input(address):
    code, response = post(f"{address}/", {"inputs": ["good!", " "]})
    assert (code, response[0], set(response[1])) == (200, [YES, NO], {"problem", "fix"})
    for bad in ({"inputs": " "}, {"inputs": ""}, {"inputs": 7}, {"inputs": "a", "parameters": {"top_k": 0}}):
        code, response = post(f"{address}/", bad)
        assert (code, set(response)) == (422, {"problem", "fix"})
    assert (
        "`other` of `parameters` is an unknown key"
        in post(f"{address}/", {"inputs": "a", "parameters": {"other": 1}})[1]["problem"]
    )


def test_one_input_and_parameters_on_predict(address):
    code, response = post(f"{address}/predict", {"inputs": "good!", "parameters": {"top_k": 1}})
    assert (code, [item["scores"] for item in response["predictions"]]) == (200, [{"yes": 0.75}])


def test_the_client_of_huggingface_hub_classifies_texts_and_pictures(address):
    first, second = InferenceClient(model=f"{address}/").text_classification("good!")
    assert (first.label, first.score, second.label) == ("yes", 0.75, "no")
    (only,) = InferenceClient(model=address).text_classification("dull", top_k=1)
    assert only.label == "no"
    service = Echo((Column("image", ("image",), IMAGE),), explains=False)
    service.hub_task = "image-classification"
    png = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    with running(service) as pictures:
        labels = [item.label for item in InferenceClient(model=pictures).image_classification(png)]
        page = urllib.request.Request(f"{pictures}/", png, {"Origin": "http://pages.example", "Content-Type": ""})
        with pytest.raises(urllib.error.HTTPError, match="415"):
            urllib.request.urlopen(page)
    assert labels == ["no", "yes"]
    assert service.seen == [{"image": {"bytes": png}}]


def test_a_sentence_may_be_given_bare_where_words_are_labelled():
    service = Echo((Column("words", ("words",), WORDS),), explains=False)
    with running(service) as address:
        assert post(f"{address}/predict", {"inputs": "George lives in Paris"})[0] == 200
        assert post(f"{address}/predict", {"inputs": ["It is", ["in", "Rome"]]})[0] == 200
    assert service.seen == [{"words": "George lives in Paris"}, {"words": "It is"}, {"words": ["in", "Rome"]}]


def test_every_target_with_a_hub_task_has_a_form():
    kinds = [
        *(
            single_label.SINGLE_LABEL,
            multi_label.MULTI_LABEL,
            ordinal.ORDINAL,
            number.NUMBER,
            token_labels.TOKEN_LABELS,
        ),
        *(generated_text.GENERATED_TEXT, transcript.TRANSCRIPT, item.ITEM),
    ]
    tasks = {task for kind in kinds for task in kind.hub_tasks.values()}
    assert tasks <= set(PIPELINES)
    assert len(tasks) > 4


@pytest.mark.parametrize(
    ("task", "answer", "one"),
    [
        ("text-classification", {"prediction": 3.5}, [[{"label": "LABEL_0", "score": 3.5}]]),
        ("audio-classification", {"prediction": "b", "scores": {"a": 0.1, "b": 0.9}}, [{"label": "b", "score": 0.9}]),
        ("translation", {"prediction": "Haus"}, [{"translation_text": "Haus"}]),
        ("automatic-speech-recognition", {"prediction": "yes"}, {"text": "yes"}),
        (
            "token-classification",
            {"columns": {"entities": [{"start": 0, "end": 3, "text": "Rom", "type": "LOC", "score": 0.9}]}},
            [{"entity_group": "LOC", "score": 0.9, "word": "Rom", "start": 0, "end": 3}],
        ),
    ],
)
def test_each_task_has_the_form_of_its_pipeline(task, answer, one):
    pipeline = PIPELINES[task]
    chosen = Ranked(top_k=1) if pipeline.parameters is Ranked else Parameters()
    assert pipeline.answer([answer], chosen, several=False) == one
    problem = {"problem": "p", "fix": "f"}
    single = one[0] if pipeline.listed else one
    assert pipeline.answer([answer, problem], chosen, several=True) == [single, problem]


# --- state ----------------------------------------------------------------------------------------------------------


def test_head_answers_as_get_without_a_body(address):
    for path in GETS:
        parts = {}
        for method in ("GET", "HEAD"):
            connection = http.client.HTTPConnection(address.removeprefix("http://"))
            connection.request(method, path)
            answer = connection.getresponse()
            parts[method] = (answer.status, answer.headers["Content-Type"], answer.headers["Location"]), answer.read()
            connection.close()
        assert parts["HEAD"] == (parts["GET"][0], b"")
        assert parts["GET"][1] or path == "/"


def test_info_names_model_versions_and_limits(address):
    code, response = fetch(f"{address}/info")
    assert (code, response["model"], response["labels"]) == (200, "org/echo", ["no", "yes"])
    assert [item["name"] for item in response["inputs"]] == ["text", "text_pair"]
    assert (response["limits"]["inputs"], response["limits"]["batch"]) == (3, 2)


def sample(text: str, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(text)
    return sum(
        s.value for family in families for s in family.samples if s.name == name and labels.items() <= s.labels.items()
    )


def test_metrics_count_requests_inputs_and_batches():
    with running() as address:
        post(f"{address}/predict", {"inputs": ["good!", " ", 7]})
        post(f"{address}/predict", {"inputs": 7})
        fetch(f"{address}/one/of/many")
        text = fetch(f"{address}/metrics")[1]
    assert sample(text, "toolkit_requests_total", route="/predict", status="200") == 1
    assert sample(text, "toolkit_requests_total", route="/predict", status="422") == 1
    assert sample(text, "toolkit_requests_total", route="other", status="404") == 1
    assert sample(text, "toolkit_rejected_inputs_total") == 2
    assert sample(text, "toolkit_waiting_inputs") == 0
    assert sample(text, "toolkit_batch_inputs_sum") == 2  # the blank one reaches the model, which finds it blank
    assert sample(text, "toolkit_batch_inputs_count") == 1
    assert sample(text, "toolkit_request_seconds_bucket", route="/predict", le="+Inf") == 2


def test_the_description_is_a_page_that_loads_nothing(address):
    code, page = fetch(f"{address}/docs")
    assert code == 200
    for path in fetch(f"{address}/openapi.json")[1]["paths"]:
        assert path in page
    assert "<script" not in page
    assert "http://" not in page.replace(address, "")
    assert "https://" not in page
    with urllib.request.urlopen(f"{address}/") as shown:
        assert shown.url == f"{address}/docs"


# --- NDJSON ---------------------------------------------------------------------------------------------------------


def lines(address: str, body: bytes, media: str = "application/x-ndjson", **headers: str) -> list[Any]:
    request = urllib.request.Request(f"{address}/predict", body, {"Content-Type": media, **headers})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("application/x-ndjson")
        return [json.loads(line) for line in answer.read().splitlines()]


def test_each_line_is_answered_by_a_line_in_order(address):
    texts = [f"number {n}{'!' * (n % 2)}" for n in range(50)]
    given = [json.dumps(text if n % 3 else {"text": text}) for n, text in enumerate(texts)]
    given[10], given[11], given[12], given[13] = "", "{", '"  "', '"\\ud800"'
    answers = lines(address, "\n".join(given).encode())
    assert len(answers) == 49  # the empty line is no input
    assert "not valid JSON" in answers[10]["problem"]
    assert [set(answer) for answer in answers[10:12]] == [{"problem", "fix"}] * 2
    expected = ["yes" if n % 2 else "no" for n in range(50) if n not in (10, 11, 12, 13)]
    assert [answer["prediction"] for place, answer in enumerate(answers) if place not in (10, 11, 12)] == expected


def test_a_list_is_streamed_where_lines_are_accepted(address):
    body = json.dumps({"inputs": ["good!", 7, "dull"]}).encode()
    first, wrong, last = lines(address, body, "application/json", Accept="application/x-ndjson, application/json;q=0.5")
    assert (first["prediction"], last["prediction"], set(wrong)) == ("yes", "no", {"problem", "fix"})
    body = json.dumps({"inputs": "good!", "parameters": {"top_k": 1}}).encode()
    (only,) = lines(address, body, "application/json", Accept="application/x-ndjson")
    assert only["scores"] == {"yes": 0.75}


def test_no_lines_and_too_many_bytes_are_refused(address):
    for body, wanted in ((b"\n \n", 422), (b'"a"\n' * 50_000, 413)):
        assert post(f"{address}/predict", body, **{"Content-Type": "application/x-ndjson"})[0] == wanted


def test_the_model_waits_for_a_client_that_does_not_read():
    """Of a long request no more than the batch that is sent and the next one are predicted ahead."""
    ahead: list[int] = []

    async def main() -> None:
        predicted = 0

        async def predict(chunk):
            nonlocal predicted
            predicted += len(chunk)
            return [{"prediction": item} for item in chunk]

        read = 0
        async for text in await stream.lines(range(1000), predict, 8):
            for _ in range(5):
                await asyncio.sleep(0)
            read += len(text.splitlines())
            ahead.append(predicted - read)
        assert read == predicted == 1000

    asyncio.run(main())
    assert max(ahead) <= 8


def test_a_stream_waits_where_the_queue_is_full_and_a_late_batch_has_problems(monkeypatch):
    monkeypatch.setattr(stream, "RETRY_SECONDS", 0)
    outcomes = iter([None, Overloaded(), Overloaded(), None, TimeoutError(), None])

    async def predict(chunk):
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome
        return [{"prediction": item} for item in chunk]

    async def main() -> list[Any]:
        parts = [part async for part in await stream.lines(range(4), predict, 1)]
        return [json.loads(part) for part in parts]

    first, second, third, last = asyncio.run(main())
    assert (first, second, last) == ({"prediction": 0}, {"prediction": 1}, {"prediction": 3})
    assert set(third) == {"problem", "fix"}


def test_other_callers_are_answered_in_the_midst_of_a_stream():
    with running(batch=1) as address:
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.extend(lines(address, b'"slow"\n' * 6)))
        thread.start()
        while not fetch(f"{address}/metrics")[1].count("toolkit_batch_inputs_count 1.0"):
            pass
        assert post(f"{address}/predict", {"inputs": ["good!"]})[0] == 200
        assert not answers
        thread.join()
    assert len(answers) == 6


# --- the description ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("examples", [8, pytest.param(150, marks=pytest.mark.slow)])
def test_the_service_keeps_to_its_description(address, examples):
    """Of what schemathesis checks: no failure, described statuses, media types and bodies; what fits is accepted."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings
    from schemathesis import checks

    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 6
    chosen = [
        *(checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance),
        *(checks.response_schema_conformance,),
    ]
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def check(case):
            case.call_and_validate(checks=chosen)

        check()
