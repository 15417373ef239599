"""Pictures with an explanation laid over them: blue patches support the class, orange patches oppose it."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit import runs
from toolkit.explanation.regions import region
from toolkit.explanation.words import Floats

SIDE = 192  # pixels of a picture on a page
_FOR, _AGAINST = (29, 95, 166), (194, 86, 10)
_COLOURS = 64  # which take a third of the space of all
_FRAME = (20, 20, 20)
_STRONGEST = 0.8  # opacity of the strongest patch

Bytes = np.ndarray[Any, Any]


def plain(pixels: Bytes) -> str:
    """Return a picture as a data address. Bytes of shape (3, H, W)."""
    return _address(_image(pixels))


def grey(pixels: Bytes) -> str:
    """Return a picture in light grey, so that any colour in it comes from the explanation."""
    return _address(_grey(pixels))


def overlay(pixels: Bytes, scores: Sequence[float] | Floats, grid: Sequence[int]) -> str:
    """Return a picture under the scores of its patches, the strongest patch fullest, with a frame about the region."""
    return _address(_laid_over(pixels, scores, grid).quantize(_COLOURS))


def draw(pixels: Bytes, columns: Sequence[tuple[str, Sequence[float]]], grid: Sequence[int], path: Path) -> Path:
    """Draw a PNG file: the picture, and beside it the same under each method's scores, with their titles."""
    from PIL import Image, ImageDraw

    panels = [("The picture", _image(pixels))] + [(title, _laid_over(pixels, s, grid)) for title, s in columns]
    sheet = Image.new("RGB", ((SIDE + 12) * len(panels) + 12, SIDE + 44), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (title, panel) in enumerate(panels):
        left = 12 + number * (SIDE + 12)
        pen.text((left, 10), title, fill="black")
        sheet.paste(panel, (left, 32))
    with runs.aside(path) as draft:
        sheet.save(draft, "PNG")
    return path


def maps(name: str, pixels: Bytes, weights: Bytes) -> Mapping[str, Any]:
    """Lay out the attention of the decision to each patch for the page's script, each map's strongest patch full.

    Args:
        name: Of the picture.
        pixels: Shape (3, H, W).
        weights: Shape (L, H, rows, columns).
    """
    largest = np.maximum(weights.max(axis=(2, 3), keepdims=True), 1e-12)
    levels = np.rint(255 * np.clip(weights / largest, 0, 1)).astype(np.uint8)
    return {
        "title": name,
        "tokens": [],
        "shape": list(levels.shape),
        "data": base64.b64encode(levels.tobytes()).decode("ascii"),
        "picture": grey(pixels),
    }


def _image(pixels: Bytes) -> Any:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    share = SIDE / max(image.size)
    method = Image.Resampling.NEAREST if share > 1 else Image.Resampling.LANCZOS
    return image.resize((round(image.width * share), round(image.height * share)), method)


def _grey(pixels: Bytes) -> Any:
    return _image(pixels).convert("L").point([90 + level * 165 // 255 for level in range(256)]).convert("RGB")


def _laid_over(pixels: Bytes, scores: Sequence[float] | Floats, grid: Sequence[int]) -> Any:
    from PIL import Image, ImageDraw

    values = np.asarray(scores, np.float64).reshape(grid)
    shares = values / max(np.abs(values).max(), 1e-12)  # (rows, columns)
    base = _grey(pixels)
    left, top, right, bottom = region(scores, (int(grid[0]), int(grid[1])))
    colours = np.where((shares >= 0)[..., None], _FOR, _AGAINST).astype(np.uint8)
    opacity = np.rint(255 * _STRONGEST * np.abs(shares)).astype(np.uint8)
    heat, mask = (Image.fromarray(layer).resize(base.size, Image.Resampling.NEAREST) for layer in (colours, opacity))
    laid = Image.composite(heat, base, mask)
    corners = (left * laid.width, top * laid.height, right * laid.width - 1, bottom * laid.height - 1)
    ImageDraw.Draw(laid).rectangle([round(corner) for corner in corners], outline=_FRAME, width=2)
    return laid


def _address(image: Any) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
