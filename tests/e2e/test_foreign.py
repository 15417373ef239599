"""Models that were not trained here are evaluated: from a folder or a Hub, with and without class names."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Made
from tests.support import checkpoints, pictures
from tests.support.cli import toolkit
from tests.support.hub import LocalHub

QUICK = ("--set", "evaluation.resamples=200")


def report(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return result


def accuracy(folder: Path) -> float:
    return float(report(folder)["evaluation"]["metrics"][0]["value"])


@pytest.fixture(scope="module")
def nameless(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier as transformers writes one without class names: its file does not even contain LABEL_0."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path_factory.mktemp("foreign") / "nameless"
    model = AutoModelForSequenceClassification.from_pretrained(made.run / "model")
    model.config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    model.config.label2id = {"LABEL_0": 0, "LABEL_1": 1}
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(made.run / "model").save_pretrained(folder)
    assert "id2label" not in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.reviews(tmp_path_factory.mktemp("data") / "new.csv", 60, seed=9)


def test_classes_without_names_are_matched_by_order_or_by_a_map(nameless: Path, table: Path, tmp_path: Path) -> None:
    judged = toolkit("evaluate", nameless, "--data", table, "--output", "order", *QUICK, cwd=tmp_path)
    assert judged.code == 0, judged.text
    assert "LABEL_0 was read as negative, LABEL_1 was read as positive" in " ".join(judged.err.split())
    assert accuracy(tmp_path / "order") > 0.9
    assert report(tmp_path / "order")["evaluation"]["labels"] == ["negative", "positive"]
    turned = ("--set", 'data.label_map={"negative": LABEL_1, "positive": LABEL_0}')
    judged = toolkit("evaluate", nameless, "--data", table, "--output", "map", *turned, *QUICK, cwd=tmp_path)
    assert judged.code == 0, judged.text
    assert accuracy(tmp_path / "map") == pytest.approx(1 - accuracy(tmp_path / "order"))
    assert report(tmp_path / "map")["evaluation"]["labels"] == ["positive", "negative"]


def test_labels_that_do_not_match_are_refused_with_both_lists(nameless: Path, tmp_path: Path) -> None:
    (tmp_path / "three.csv").write_text("text,label\nfine,cat\nfiner,dog\nfinest,cow\n", encoding="utf-8")
    refused = toolkit("evaluate", nameless, "--data", "three.csv", cwd=tmp_path)
    assert refused.code == 2
    assert "cat, cow, dog" in refused.err
    assert "LABEL_0, LABEL_1" in refused.err
    assert "data.label_map" in refused.err


def test_hub_model_is_evaluated_by_name(nameless: Path, table: Path, tmp_path: Path) -> None:
    with LocalHub() as hub:
        hub.add("acme/nameless", nameless)
        env = hub.environment(tmp_path / "hf")
        judged = toolkit("evaluate", "acme/nameless", "--data", table, "--output", "out", *QUICK, cwd=tmp_path, env=env)
    assert judged.code == 0, judged.text
    assert accuracy(tmp_path / "out") > 0.9
    assert "acme/nameless" in report(tmp_path / "out")["model"]["origin"]


def test_a_model_without_a_head_is_refused(tiny_distilbert: Path, table: Path, tmp_path: Path) -> None:
    refused = toolkit("evaluate", tiny_distilbert, "--data", table, cwd=tmp_path)
    assert refused.code in (1, 2)
    assert "[model.not-fine-tuned]" in refused.err
    named = shutil.copytree(tiny_distilbert, tmp_path / "named")  # as older files do, which name classes all the same
    config = json.loads((named / "config.json").read_text(encoding="utf-8"))
    config["id2label"] = {"0": "negative", "1": "positive"}
    (named / "config.json").write_text(json.dumps(config), encoding="utf-8")
    refused = toolkit("evaluate", "named", "--data", table, cwd=tmp_path)
    assert refused.code in (1, 2)
    assert "[model.not-fine-tuned]" in refused.err
    assert "DistilBertModel" in refused.err


def test_image_model_agrees_with_its_pipeline(tmp_path: Path) -> None:
    from PIL import Image
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil, pipeline

    config = ViTConfig(
        image_size=16, patch_size=4, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    ViTForImageClassification(config).save_pretrained(tmp_path / "own-vit")
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(tmp_path / "own-vit")
    folder = pictures.folder(tmp_path / "shades", 20)
    judged = toolkit("evaluate", "own-vit", "--data", "shades", "--output", "out", *QUICK, cwd=tmp_path)
    assert judged.code == 0, judged.text
    result = report(tmp_path / "out")
    assert (result["recipe"], result["evaluation"]["labels"]) == ("image", ["dark", "light"])
    classify = pipeline("image-classification", model=str(tmp_path / "own-vit"))
    for row in pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()[::7]:
        with Image.open(folder / row["_file"]) as image:
            theirs = {item["label"]: item["score"] for item in classify(image.convert("RGB"))}
        assert [theirs["LABEL_0"], theirs["LABEL_1"]] == pytest.approx(row["probabilities"], abs=1e-5)
