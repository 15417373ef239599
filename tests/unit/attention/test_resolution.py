"""Position embeddings for another resolution, and models that run with them."""

import pytest
import torch

from tests.support.errors import refused
from toolkit.attention import resolution
from toolkit.errors import ConfigError, ModelError

SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


def family(name: str, size: int):
    import transformers

    grid = {"image_size": size, "patch_size": 4}
    dinov2 = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    swin = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 2}
    makers = {
        "vit": lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**SMALL, **grid)),
        "deit": lambda: transformers.DeiTForImageClassification(transformers.DeiTConfig(**SMALL, **grid)),
        "dinov2": lambda: transformers.Dinov2ForImageClassification(transformers.Dinov2Config(**dinov2, **grid)),
        "swin": lambda: transformers.SwinForImageClassification(transformers.SwinConfig(**swin, **grid)),
    }
    torch.manual_seed(0)
    return makers[name]().eval()


@pytest.mark.parametrize("name", ["vit", "deit", "dinov2", "swin"])
def test_a_model_sees_other_sizes_with_its_own_weights(name):
    model = family(name, 16)
    larger = resolution.see(model, 32)
    assert larger.config.image_size == 32
    with torch.no_grad():
        assert larger(pixel_values=torch.randn(2, 3, 32, 32)).logits.shape == (2, 2)
    ours, theirs = dict(larger.named_parameters()), dict(model.named_parameters())
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs if ours[n].shape == theirs[n].shape)
    assert resolution.see(model, 16) is model


def test_class_token_is_kept_and_grid_interpolated():
    rows = torch.arange(4.0)[:, None].expand(4, 4).reshape(1, 16, 1)
    positions = torch.cat([torch.full((1, 2, 1), 9.0), rows], dim=1)
    result = resolution.interpolated(positions, (1, 2 + 64, 1), 4, 16, 32)
    assert (result[:, :2] == 9).all()
    grid = result[0, 2:, 0].reshape(8, 8)
    assert torch.allclose(grid, grid[:, :1].expand(8, 8), atol=1e-5)
    assert (grid[1:, 0] > grid[:-1, 0] - 1e-5).all()
    assert torch.allclose(grid.mean(), rows.mean(), atol=1e-5)


def test_weights_that_cannot_be_interpolated_are_refused():
    import transformers

    config = transformers.BeitConfig(**SMALL, image_size=16, patch_size=4, use_relative_position_bias=True)
    with refused(ModelError, "model.image-size-fixed", "32 pixels"):
        resolution.see(transformers.BeitForImageClassification(config), 32)


def test_pictures_that_patches_do_not_cover_are_refused():
    vit = {"model_type": "vit", "patch_size": 4}
    with refused(ConfigError, "config.image-size", "`options.image_size` is 30", "4 pixels") as caught:
        resolution.check(vit, 30)
    assert caught.value.fix == "Use --image-size 28 or --image-size 32."
    for config, size in ((vit, 32), (vit, None), ({"model_type": "swin", "patch_size": 4}, 30)):
        resolution.check(config, size)
