"""Families with attention over the whole picture, over windows, and with none."""

import numpy as np
import pytest
import torch

from tests.support import vision
from toolkit.explanation.attention import watchable
from toolkit.explanation.attributions import available, explain
from toolkit.explanation.patches import GRID, Picture, layout
from toolkit.explanation.question import Model

PIXELS = np.random.default_rng(0).integers(0, 256, (3, vision.SIDE, vision.SIDE)).astype(np.uint8)
WHOLE = {"vit": 1, "deit": 2, "dinov2": 1}  # class and distillation tokens in front


def asked(config):
    from transformers import AutoModelForImageClassification

    torch.manual_seed(0)
    config.architectures = []
    network = AutoModelForImageClassification.from_config(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(
                    parameter
                )  # fresh weights are so small that what they find drowns in rounding

    def collate(features):
        return {"pixel_values": torch.stack([torch.from_numpy(item["pixel_values"]) for item in features]) / 255}

    return Model(network, collate, 0)


def convolutions():
    from transformers import ConvNextConfig

    return ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], image_size=vision.SIDE)


@pytest.mark.parametrize("family", [*vision.configs(), "convnext"])
def test_every_family_is_explained(family):
    config = convolutions() if family == "convnext" else vision.configs()[family][0]
    model = asked(config)
    result = layout(model, PIXELS) if watchable(model.network) else None
    assert (result is not None) == (family in WHOLE)
    grid, leading = result or ((GRID, GRID), 0)
    if result:
        assert result == ((4, 4), WHOLE[family])
    methods = available(result is not None)
    explained = explain(model, Picture("a.png", PIXELS, grid, leading), 1, methods)
    assert set(methods) == set(explained.scores) >= {"leave-one-out", "gradient-input"}
    for scores in explained.scores.values():
        assert scores.shape == (grid[0] * grid[1],)
        assert np.isfinite(scores).all()
        assert np.ptp(scores) > 0
    assert (explained.weights is not None) == (result is not None)
