"""Perturbations of a picture that should not change its class.

Kinds and strengths after Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions
and Perturbations", at about their second of five severities; sizes in pixels are relative to the picture's size.
"""

import io
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from toolkit.data.images import image_decoding
from toolkit.evaluation.perturbations.text_changes import Perturbation

LONGEST = 512  # pixels of the longer side; larger pictures are reduced before they are changed
BLUR = 0.01  # radius, as a share of the shorter side
NOISE = 20  # standard deviation, of 255
CROP = 0.85  # of each side
DARKER, BRIGHTER = 0.6, 1.5
JPEG = 20  # quality, of 95

Picture = Mapping[str, Any]


def changes() -> list[Perturbation]:
    """Return the perturbations that should not change a picture's class."""
    return [
        _of("blur", f"Blurred by {BLUR:.0%} of the side".replace("%", " %"), _blur),
        _of("noise", f"Noise of {NOISE / 255:.0%} of the range".replace("%", " %"), _noise),
        _of("crop", f"Cropped to {CROP:.0%} of each side".replace("%", " %"), _crop),
        _of("darker", f"Darker: {DARKER:g} times as bright", lambda image, _: _brightness(image, DARKER)),
        _of("brighter", f"Brighter: {BRIGHTER:g} times as bright", lambda image, _: _brightness(image, BRIGHTER)),
        _of("jpeg", f"Saved as JPEG of quality {JPEG}", _jpeg),
    ]


def reduced(picture: Picture) -> Picture:
    """Return a picture at no more than `LONGEST` pixels, as it is decoded."""
    image = image_decoding.decode(picture, sys.maxsize)
    if max(image.size) > LONGEST:
        image.thumbnail((LONGEST, LONGEST))
    return _written(image, picture)


def _of(name: str, title: str, change: Callable[[Any, random.Random], Any]) -> Perturbation:
    """Convert a change of Pillow images to a change of pictures in rows."""
    return Perturbation(
        name,
        title,
        lambda picture, chance: _written(change(image_decoding.decode(picture, sys.maxsize), chance), picture),
    )


def _written(image: Any, picture: Picture) -> Picture:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)
    width, height = image.size
    return {"bytes": stream.getvalue(), "path": picture.get("path"), "digest": None, "width": width, "height": height}


def _blur(image: Any, _chance: random.Random) -> Any:
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur(BLUR * min(image.size)))


def _noise(image: Any, chance: random.Random) -> Any:
    from PIL import Image

    values = np.asarray(image, np.float64)
    noise = np.random.default_rng(chance.getrandbits(64)).normal(0, NOISE, values.shape)
    return Image.fromarray(np.rint(values + noise).clip(0, 255).astype(np.uint8))


def _crop(image: Any, chance: random.Random) -> Any:
    width, height = (max(1, round(CROP * side)) for side in image.size)
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def _brightness(image: Any, factor: float) -> Any:
    from PIL import ImageEnhance

    return ImageEnhance.Brightness(image).enhance(factor)


def _jpeg(image: Any, _chance: random.Random) -> Any:
    from PIL import Image

    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=JPEG)
    return Image.open(stream).convert("RGB")
