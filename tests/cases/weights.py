"""Checkpoints whose weights do not reach the model."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
from safetensors.torch import load_file, save_file

from tests.support import checkpoints
from tests.support.cli import several, toolkit
from toolkit import sources

QUICK = ("--set", "evaluation.resamples=100")


def case_wrapped_and_headless_checkpoints(folder: Path) -> None:
    """Weights under a wrapper's names predict as they do without; without a trained head nothing is evaluated."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    plain = folder / "plain"
    tiny = sources.package_path(checkpoints.TINY.removeprefix("pkg://"))
    names = {"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}}
    AutoModelForSequenceClassification.from_pretrained(tiny, **names).save_pretrained(plain)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(plain)
    weights = load_file(plain / "model.safetensors")
    for name, kept in (
        ("wrapped", {f"_orig_mod.module.{key}": tensor for key, tensor in weights.items()}),
        ("headless", {key: tensor for key, tensor in weights.items() if not key.startswith("classifier")}),
        ("three", weights),
    ):
        shutil.copytree(plain, folder / name)
        save_file(kept, folder / name / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((plain / "config.json").read_text(encoding="utf-8"))
    config["id2label"] = {"0": "negative", "1": "neutral", "2": "positive"}
    (folder / "three" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    data = checkpoints.reviews(folder / "data.csv", 20)

    outcomes = several(
        [
            *(("evaluate", name, "--data", data, "--output", f"of-{name}", *QUICK) for name in ("plain", "wrapped")),
            ("predict", "three", "--input", data, "--output", "three.csv"),
        ],
        cwd=folder,
    )
    assert [item.code for item in outcomes] == [0, 0, 2], [item.text for item in outcomes]
    assert "wrapper" not in outcomes[0].text
    assert "`_orig_mod.module." in outcomes[1].text
    probabilities = [
        pq.read_table(folder / f"of-{name}" / "predictions.parquet")["probabilities"] for name in ("plain", "wrapped")
    ]
    assert probabilities[0] == probabilities[1]
    assert "has the shape 2 where 3 is expected" in outcomes[2].text
    refused = toolkit("evaluate", "headless", "--data", data, cwd=folder)
    assert refused.code == 2, refused.text
    assert "`classifier.bias` is missing" in refused.text
