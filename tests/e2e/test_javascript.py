"""transformers.js loads exports by their names in the folder, in node and in a browser, and predicts as the toolkit."""

import importlib
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Made
from tests.support.javascript import in_browser, in_node, needs_browser, needs_node, needs_package

exporting = importlib.import_module("toolkit.commands.export")  # the package's attribute is the function
pytestmark = needs_package
ROWS = 12


@pytest.fixture(scope="module")
def both(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the graph of both precisions, next to one tokenizer and configuration, as a pushed model has."""
    folder = tmp_path_factory.mktemp("javascript") / "model"
    for form in ("onnx", "onnx-int8"):
        place = folder.with_name(form)
        exporting.export(str(made.run), form, str(place), {}, None, lambda event: None, tolerance=0.2)
        shutil.copytree(place, folder, dirs_exist_ok=True)
    return folder


def expected(made: Made) -> tuple[list[str], list[dict[str, Any]]]:
    table = pq.read_table(made.run / "predictions.parquet").slice(0, ROWS)
    answers = [
        {"label": ["neg", "pos"][label], "score": max(scores)}
        for label, scores in zip(table["prediction"].to_pylist(), table["probabilities"].to_pylist(), strict=True)
    ]
    return table["text"].to_pylist(), answers


def check(answers: list[dict[str, Any]], wanted: list[dict[str, Any]], off: float) -> None:
    assert len(answers) == ROWS
    for answer, own in zip(answers, wanted, strict=True):
        if own["score"] > 0.5 + off:
            assert answer["label"] == own["label"]
        assert answer["score"] == pytest.approx(own["score"], abs=off)


@needs_node
def test_node(made: Made, both: Path) -> None:
    texts, wanted = expected(made)
    check(in_node(both, "text-classification", texts), wanted, 1e-4)
    check(in_node(both, "text-classification", texts, dtype="q8"), wanted, 0.1)


@needs_browser
def test_browser_takes_the_eight_bits_unasked(made: Made, both: Path) -> None:
    texts, wanted = expected(made)
    answers, requests = in_browser(both, "text-classification", texts)
    assert [address for address in requests if address.endswith("/onnx/model_quantized.onnx")]
    check(answers, wanted, 0.1)
    answers, requests = in_browser(both, "text-classification", texts, dtype="fp32")
    assert [address for address in requests if address.endswith("/onnx/model.onnx")]
    assert not [address for address in requests if "onnx_data" in address or "onnx.data" in address]
    check(answers, wanted, 1e-4)
