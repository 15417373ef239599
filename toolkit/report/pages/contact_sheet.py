"""Pictures of each class side by side: originals left, model inputs right."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from toolkit.data.images import image_decoding

_SIDE = 96  # pixels of a picture on the sheet
_GAP = 4
_HEAD = 18  # pixels for a line of text
_CHANGED = "augmented, as in training"

Line = tuple[str, Sequence[Any], Any]  # name, images of Pillow, pictures as bytes (N, H, W, 3)


def draw(lines: Sequence[Line]) -> Any:
    """Return the sheet as an image of Pillow."""
    image_module = image_decoding.pillow()
    from PIL import ImageDraw

    most = max(len(raw) for _, raw, _ in lines)
    cell, row = _SIDE + _GAP, _HEAD + _SIDE + _GAP
    font = _font()
    changed = 4 * _GAP + most * cell  # where the augmented ones begin
    width = max(2 * most * cell + 5 * _GAP, changed + round(_length(_CHANGED, font)) + _GAP)
    sheet = image_module.new("RGB", (width, _HEAD + row * len(lines)), "white")
    pen = ImageDraw.Draw(sheet)
    pen.font = font
    pen.text((_GAP, 2), "original", fill="black")
    pen.text((changed, 2), _CHANGED, fill="black")
    for number, (name, raw, augmented) in enumerate(lines):
        top = _HEAD + number * row
        pen.text((_GAP, top + 2), _line(name, font), fill="black")
        for place, image in enumerate([*raw, *(image_module.fromarray(array) for array in augmented)]):
            shift = 3 * _GAP + (most - len(raw)) * cell if place >= len(raw) else 0
            sheet.paste(_fitted(image), (_GAP + place * cell + shift, top + _HEAD))
    return sheet


def _fitted(image: Any) -> Any:
    """Return an image that fits its cell; small ones are enlarged without smoothing."""
    scale = _SIDE / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize(size, 0 if scale > 1 else 1)


def _font() -> Any:
    """Return the font of the reports' plots, if installed; Pillow's own covers English letters only."""
    from PIL import ImageFont

    try:
        from matplotlib import font_manager
    except ImportError:
        return None
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 11)


def _length(text: str, font: Any) -> float:
    """Return how many pixels a line of text is long."""
    return float(font.getlength(text)) if font else 6.0 * len(text)


def _line(name: str, font: Any) -> str:
    """Return a name in one line, in letters that the font has."""
    name = " ".join(name.split())[:60]
    return name if font else unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
