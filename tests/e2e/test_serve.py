"""A model behind HTTP and behind a page, started and requested from outside."""

import json
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from huggingface_hub import InferenceClient

from tests.e2e.conftest import Made
from tests.support.browser import CHROMIUM, browser
from tests.support.cli import toolkit
from tests.support.service import post, serving

CTRL = 2


def test_concurrent_requests_are_independent(made: Made, tmp_path: Path) -> None:
    """Every answer is the one that `predict` writes for the same text, whatever arrived beside it."""
    rows = pq.read_table(made.run / "predictions.parquet")
    texts = rows["text"].to_pylist()
    expected = dict(zip(texts, (("neg", "pos")[number] for number in rows["prediction"].to_pylist()), strict=True))
    bad = [(b'{"inputs": ["', 422), ({"inputs": 7}, 422), ({"inputs": ["a"] * 9}, 422), (b"x" * 300_000, 413)]
    with serving(
        "serve", made.run, "--max-inputs", "8", "--max-megabytes", "0.2", cwd=tmp_path, env=made.env
    ) as address:
        jobs = [({"inputs": [texts[n % len(texts)], " ", texts[(3 * n) % len(texts)]]}, 200) for n in range(160)]
        jobs = [job for n, good in enumerate(jobs) for job in ((good, bad[n // 8 % 4]) if n % 8 == 0 else (good,))]
        with ThreadPoolExecutor(32) as callers:
            answers = list(callers.map(lambda job: post(f"{address}/predict", job[0]), jobs))
    assert [code for code, _ in answers] == [wanted for _, wanted in jobs]
    for (body, wanted), (_, outcome) in zip(jobs, answers, strict=True):
        if wanted == 200:
            first, blank, last = outcome["predictions"]
            assert "empty" in blank["problem"]
            assert [item["prediction"] for item in (first, last)] == [expected[text] for text in body["inputs"][::2]]


def test_folder_is_served_locally_with_explanations(made: Made, tmp_path: Path) -> None:
    model = made.run / "model"
    with serving("serve", model, "--recipe", "sentiment", cwd=tmp_path, env=made.env) as address:
        code, response = post(f"{address}/explain", {"input": "a wonderful film", "method": "gradient-input"})
        assert code == 200, response
        assert response["words"] == ["a", "wonderful", "film"]
        assert "--measure" in response["belief"]
        with urllib.request.urlopen(f"{address}/health") as health:
            assert json.load(health)["model"] == "model"  # no folder of this machine
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((other_address(), int(address.rpartition(":")[2])), timeout=5)


def test_all_ways_to_ask_give_the_same_predictions(made: Made, tmp_path: Path) -> None:
    """As JSON, as lines and as a client of Inference Endpoints; with sets of classes."""
    texts = pq.read_table(made.run / "predictions.parquet")["text"].to_pylist()[:20]
    with serving("serve", made.run, "--sets", "0.8", "--batch", "8", cwd=tmp_path, env=made.env) as address:
        code, response = post(f"{address}/predict", {"inputs": texts})
        body = "\n".join(map(json.dumps, texts)).encode()
        lines = urllib.request.Request(f"{address}/predict", body, {"Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(lines) as answer:
            streamed = [json.loads(line) for line in answer]
        classes = [InferenceClient(f"{address}/").text_classification(text) for text in texts[:3]]
        with urllib.request.urlopen(f"{address}/info") as answer:
            info = json.load(answer)
    assert code == 200
    predictions = response["predictions"]
    keys = ("prediction", "columns")
    assert [[item[key] for key in keys] for item in streamed] == [[item[key] for key in keys] for item in predictions]
    assert all(item["prediction"] in item["columns"]["set"] for item in predictions if item["columns"]["set"])
    assert any(item["columns"]["set"] for item in predictions)
    for item, (first, second) in zip(predictions, classes, strict=False):
        assert first.label == item["prediction"]
        assert item["scores"][first.label] == pytest.approx(first.score, abs=1e-4)
        assert first.score >= second.score
    assert (info["hub_task"], info["sets"], info["max_error"]) == ("text-classification", 0.8, None)
    assert info["versions"]["torch"]
    assert info["limits"]["batch"] == 8


def test_a_share_that_is_none_is_refused(made: Made, tmp_path: Path) -> None:
    outcome = toolkit(
        *("app", made.run, "--beside", made.run, "--max-error", "1.5", "--no-browser", "--port", "0"),
        cwd=tmp_path, env=made.env,
    )  # fmt: skip
    assert outcome.code == 2
    assert "[config.out-of-range]" in outcome.err


def other_address() -> str:
    """An address of this machine that is not the one it listens on."""
    return "127.0.0.2"


def test_taken_port_fails_before_loading(made: Made, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = toolkit("serve", made.run, "--port", str(taken.getsockname()[1]), cwd=tmp_path)
    assert outcome.code == 2
    assert "[serve.port-taken]" in outcome.err
    assert "Loading" not in outcome.err


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH: the page cannot be opened")
def test_demo_page_predicts_and_explains_a_text(made: Made, tmp_path: Path) -> None:
    with serving("app", made.run, "--no-browser", cwd=tmp_path, env=made.env) as address, browser() as page:
        page.open(f"{address}/")
        page.type("A <b>wonderful</b> film & more")
        page.press("Enter", 13, CTRL)
        page.wait("!document.getElementById('reasons').hidden")
        shown = page.evaluate("document.querySelector('[data-part=prediction]').textContent")
        assert shown in ("neg", "pos")
        words = page.evaluate("[...document.querySelectorAll('[data-part=words] .word')].map(w => w.textContent)")
        assert {"wonderful", "film", "&", "<"} <= set(words)
        assert "confidence" in page.evaluate("document.querySelector('[data-part=sure]').textContent")
        page.evaluate("document.querySelector('textarea').value = '   '; document.querySelector('button').click()")
        page.wait("!document.getElementById('refusal').hidden")
        assert "`text` is missing" in page.evaluate("document.getElementById('refusal').textContent")
        refused = [item for item in page.complaints if "422" not in item]
        assert refused == []
        assert all(item.startswith(address) for item in page.requests)
