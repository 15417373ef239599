"""Model inputs equal the output of the image processor."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.errors import refused
from tests.support.pictures import encoded, picture
from toolkit import models
from toolkit.config.settings import LoadingConfig
from toolkit.data.images import pixels
from toolkit.errors import DataError


def processor(kind: str):
    import transformers

    results = {
        "vit": lambda: transformers.ViTImageProcessorPil(size={"height": 20, "width": 20}),
        "cropped": lambda: transformers.BitImageProcessorPil(
            size={"shortest_edge": 24}, crop_size={"height": 20, "width": 20}, do_normalize=True
        ),
        "deit": lambda: transformers.DeiTImageProcessorPil(
            size={"height": 24, "width": 24}, crop_size={"height": 20, "width": 20}
        ),
        "mobilevit": lambda: transformers.MobileViTImageProcessorPil(
            size={"shortest_edge": 24}, crop_size={"height": 20, "width": 20}
        ),
    }
    return results[kind]()


@pytest.mark.parametrize("kind", ["vit", "cropped", "deit", "mobilevit"])
def test_bytes_normalised_on_the_device_are_what_the_processor_makes(kind):
    made = processor(kind)
    images = [picture(bool(n), 30 + n, n).resize((30 + n, 40)) for n in range(3)]
    kept = pixels.prepared([{"bytes": encoded(image, "PNG")} for image in images], made, 10_000)
    assert kept.dtype == np.uint8
    assert kept.shape == (3, 3, 20, 20)
    ours = pixels.normalised(torch.from_numpy(kept), made).numpy()
    theirs = np.stack(made(images)["pixel_values"])
    assert np.abs(ours - theirs).max() <= 2e-6


def test_a_model_takes_bytes_as_it_takes_floats():
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=20)
    model = pixels.take_bytes(ViTForImageClassification(config).eval(), processor("vit"))
    kept = torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8)
    floats = pixels.normalised(kept, processor("vit"))
    with torch.no_grad():
        assert torch.equal(model(pixel_values=kept).logits, model(pixel_values=floats).logits)


@pytest.mark.parametrize("kind", ["vit", "cropped", "mobilevit"])
def test_normalisation_is_reversible_for_display(kind):
    kept = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8)
    back = pixels.shown(pixels.normalised(kept, processor(kind)), processor(kind))
    assert (back == pixels.shown(kept, processor(kind))).all()


def test_colours_that_a_processor_exchanges_are_shown_as_they_were():
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 200
    for kind in ("vit", "mobilevit"):
        made = processor(kind)
        kept = pixels.prepared([{"bytes": encoded(Image.fromarray(red), "PNG")}], made, 10_000)
        assert (pixels.shown(torch.from_numpy(kept), made)[0, 10, 10] == (200, 0, 0)).all()


def test_a_long_picture_is_cut_before_it_is_resized():
    made = processor("cropped")
    long = picture(True, 8).resize((4000, 4))
    assert pixels.prepared([{"bytes": encoded(long, "PNG")}], made, 100_000).shape == (1, 3, 20, 20)


@pytest.mark.parametrize("kind", ["vit", "cropped", "deit", "mobilevit"])
@pytest.mark.parametrize("size", [None, 32])
def test_processor_is_loaded_for_the_given_size(kind, size, tmp_path):
    processor(kind).save_pretrained(tmp_path)
    loaded = models.load_image_processor(tmp_path, LoadingConfig(), size)
    side = size or 20
    assert pixels.prepared([{"bytes": encoded(picture(True, 50), "PNG")}], loaded, 10_000).shape == (1, 3, side, side)


def test_a_checkpoint_without_a_processor_gets_the_usual_one(tmp_path):
    (tmp_path / "config.json").write_text('{"image_size": 24}', encoding="utf-8")
    loaded = models.load_image_processor(tmp_path, LoadingConfig())
    assert pixels.prepared([{"bytes": encoded(picture(True), "PNG")}], loaded, 10_000).shape == (1, 3, 24, 24)


def test_changed_picture_is_named(tmp_path):
    file = tmp_path / "gone.png"
    with refused(DataError, "media.changed", "gone.png"):
        pixels.prepared([{"bytes": None, "path": str(file)}], processor("vit"), 10_000)
