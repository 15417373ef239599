"""Hybrids of convolution and attention: their presets fine-tune and evaluate, from a Hub and from scratch."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import checkpoints, pictures
from tests.support.cli import several
from tests.support.hub import LocalHub
from toolkit import sources
from toolkit.model_names import ALIASES

PLAIN = ("--epochs", "1", "--batch-size", "16", "--set", "evaluation.baselines=false", "--set", "training.device=cpu")


def convbert(folder: Path) -> None:
    from transformers import AutoTokenizer, ConvBertConfig, ConvBertForSequenceClassification

    config = ConvBertConfig(
        hidden_size=32, embedding_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48
    )
    ConvBertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(sources.package_path("cognition/model")).save_pretrained(folder)


def mobilevit(folder: Path) -> None:
    from transformers import MobileViTConfig, MobileViTForImageClassification, MobileViTImageProcessorPil

    config = MobileViTConfig(
        image_size=64, hidden_sizes=[24, 32, 40], neck_hidden_sizes=[8, 16, 24, 32, 40, 48, 64], num_attention_heads=4
    )
    MobileViTForImageClassification(config).save_pretrained(folder)
    MobileViTImageProcessorPil(
        size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}, do_flip_channel_order=True
    ).save_pretrained(folder)


def cvt(folder: Path) -> None:
    from transformers import ConvNextImageProcessorPil, CvtConfig, CvtForImageClassification

    config = CvtConfig(embed_dim=[8, 16, 24], num_heads=[1, 2, 3], depth=[1, 2, 3])
    CvtForImageClassification(config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 64}, crop_pct=0.875).save_pretrained(folder)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with LocalHub() as server:
        for make in (convbert, mobilevit, cvt):
            folder = tmp_path_factory.mktemp(make.__name__)
            make(folder)
            server.add(ALIASES[make.__name__].hub, folder)
        yield server


@pytest.mark.parametrize("preset", ["convbert", "mobilevit", "cvt"])
def test_preset_is_trained_and_evaluated(preset: str, hub: LocalHub, tmp_path: Path) -> None:
    env = hub.environment(tmp_path / "hf")
    if preset == "convbert":
        recipe, data = "sentiment", checkpoints.reviews(tmp_path / "reviews.csv", 60)
        more: tuple[str, ...] = ("--learning-rate", "1e-3")
    else:
        recipe, data = "image", pictures.folder(tmp_path / "data", 24)
        more = ("--from-scratch",) if preset == "cvt" else ()
    training = ("finetune", recipe, "--preset", preset, "--data", data, "--output", "run", *PLAIN, *more)
    outcomes = several([training, ("evaluate", "run", "--fresh")], tmp_path, env)
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes[-1].text
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["model"]["architecture"].lower().startswith(preset)
    repeated = json.loads((tmp_path / "run" / "evaluations" / "held-out" / "report.json").read_text(encoding="utf-8"))
    assert repeated["evaluation"]["loss"] == pytest.approx(report["evaluation"]["loss"])
