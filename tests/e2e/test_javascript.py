"""Exports under the names of transformers.js: pushed with their model, and loaded in node and in a browser."""

import importlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import ModelCard

from tests.e2e.conftest import Made
from tests.support.cli import toolkit
from tests.support.hub import LocalHub
from tests.support.javascript import in_browser, in_node, needs_browser, needs_node, needs_package, ran
from toolkit.report.pages import usage

exporting = importlib.import_module("toolkit.commands.export")  # the package's attribute is the function
FORMS = ("onnx", "onnx-int8")
ROWS = 12


@pytest.fixture(scope="module")
def run(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an export in both precisions."""
    folder = shutil.copytree(made.run, tmp_path_factory.mktemp("javascript") / "run")
    for form in FORMS:
        exporting.export(str(folder), form, None, {}, None, lambda event: None, tolerance=0.2)
    return folder


@pytest.fixture(scope="module")
def both(run: Path) -> Path:
    """The graph of both precisions next to one tokenizer and configuration, as a pushed model has them."""
    folder = run.with_name("model")
    for form in FORMS:
        shutil.copytree(run / "exports" / form, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def published(run: Path) -> Iterator[LocalHub]:
    """A Hub to which the run was pushed."""
    with LocalHub() as server:
        env = server.environment(run.parent / "hf", server.token)
        call = ("push", "run", "acme/reviews", "--license", "mit", "--language", "en", "--public")
        outcome = toolkit(*call, cwd=run.parent, env=env)
        assert outcome.code == 0, outcome.text
        yield server


def expected(run: Path) -> tuple[list[str], list[dict[str, Any]]]:
    table = pq.read_table(run / "predictions.parquet").slice(0, ROWS)
    answers = [
        {"label": ["neg", "pos"][label], "score": max(scores)}
        for label, scores in zip(table["prediction"].to_pylist(), table["probabilities"].to_pylist(), strict=True)
    ]
    return table["text"].to_pylist(), answers


def check(answers: list[dict[str, Any]], wanted: list[dict[str, Any]], off: float) -> None:
    assert len(answers) == len(wanted)
    for answer, own in zip(answers, wanted, strict=True):
        if own["score"] > 0.5 + off:
            assert answer["label"] == own["label"]
        assert answer["score"] == pytest.approx(own["score"], abs=off)


@needs_package
@needs_node
def test_node(run: Path, both: Path) -> None:
    texts, wanted = expected(run)
    check(in_node(both, "text-classification", texts), wanted, 1e-4)
    check(in_node(both, "text-classification", texts, dtype="q8"), wanted, 0.1)


@needs_package
@needs_browser
def test_browser_takes_the_eight_bits_unasked(run: Path, both: Path) -> None:
    texts, wanted = expected(run)
    answers, requests = in_browser(both, "text-classification", texts)
    assert [address for address in requests if address.endswith("/onnx/model_quantized.onnx")]
    check(answers, wanted, 0.1)
    answers, requests = in_browser(both, "text-classification", texts, dtype="fp32")
    assert [address for address in requests if address.endswith("/onnx/model.onnx")]
    assert not [address for address in requests if "onnx_data" in address or "onnx.data" in address]
    check(answers, wanted, 1e-4)


def test_pushed_model_carries_its_exports(run: Path, published: LocalHub) -> None:
    files = published.files("acme/reviews")
    assert {"model.safetensors", "onnx/model.onnx", "onnx/model_quantized.onnx"} <= files.keys()
    for path in ("onnx/model.onnx", "onnx/model_quantized.onnx"):
        assert str(Path(exporting.__file__).parents[2]).encode() not in files[path].read_bytes()  # no stack traces
    card = ModelCard(files["README.md"].read_text(encoding="utf-8"))
    data = card.data.to_dict()
    assert (data["language"], data["pipeline_tag"]) == (["en"], "text-classification")
    assert {"onnx", "transformers.js"} <= set(data["tags"])
    assert "co2_eq_emissions" not in data
    texts = pq.read_table(run / "data" / "test.parquet")["text"].to_pylist()
    assert {example["text"] for example in data["widget"]} <= set(texts)
    assert data["widget"]
    (accuracy,) = [result for result in card.data.eval_results if result.metric_type == "accuracy"]
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert accuracy.metric_value == pytest.approx(report["evaluation"]["metrics"][0]["value"], abs=1e-6)
    facts = json.loads((run / "exports" / "onnx-int8" / "export.json").read_text(encoding="utf-8"))
    assert "MB |\n| onnx/model" in card.content  # one table
    assert f"| onnx/model_quantized.onnx | {facts['agreement']['same']} of 80 |" in card.content.replace("\\", "")


@needs_package
@needs_node
def test_the_program_of_the_card_runs(run: Path, published: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    card = published.files("acme/reviews")["README.md"].read_text(encoding="utf-8")
    (script,) = re.findall(r"```javascript\n(.*?)```", card, re.DOTALL)
    texts, (wanted, *_) = expected(run)
    env = published.environment(run.parent / "hf", published.token)
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HOME"):
        monkeypatch.setenv(name, env[name])
    for before, after in {
        json.dumps(usage.TEXT): json.dumps(texts[0]),
        'import { pipeline } from "@huggingface/transformers";\n': "",
        "console.log(await predict(": "console.log(JSON.stringify(await predict(",
        "));": ")));",
    }.items():
        assert before in script
        script = script.replace(before, after)
    program = 'const { env, pipeline } = require("@huggingface/transformers");\n'
    program += 'env.remoteHost = process.env.HF_ENDPOINT + "/"; env.cacheDir = process.env.HF_HOME;\n'
    check(json.loads(ran(f"{program}(async () => {{\n{script}\n}})();")), [wanted], 0.1)


def test_export_of_other_weights_is_not_pushed(run: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(run, tmp_path / "run")
    for form in FORMS:
        manifest = changed / "exports" / form / "export.json"
        facts = json.loads(manifest.read_text(encoding="utf-8"))
        facts["weights"] = dict.fromkeys(facts["weights"], "0" * 64)
        manifest.write_text(json.dumps(facts), encoding="utf-8")
    with LocalHub() as server:
        env = server.environment(tmp_path / "hf", server.token)
        outcome = toolkit("push", "run", "acme/reviews", "--no-examples", cwd=tmp_path, env=env)
        assert outcome.code == 0, outcome.text
        files = server.files("acme/reviews")
        assert not [path for path in files if path.startswith("onnx/")]
        card = ModelCard(files["README.md"].read_text(encoding="utf-8"))
        assert "widget" not in card.data.to_dict()
    assert str(Path("run") / "exports" / "onnx") in outcome.err
