"""Pictures of noise, with a coloured square at a random place or none; the colour is the class.

Without the pictures that have none, a model could predict one colour by the absence of the other, at no place.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {"red": (230, 40, 40), "blue": (40, 60, 230)}
NOTHING = "nothing"
SIDE, SQUARE = 32, 8

Box = tuple[float, float, float, float]


def picture(name: str, random: np.random.Generator) -> tuple[Any, Box]:
    """Return a picture, and where its square is or would be: left, top, right, bottom as shares of the side."""
    from PIL import Image

    values = random.integers(60, 190, (SIDE, SIDE, 3))
    top, left = random.integers(0, SIDE - SQUARE + 1, 2)
    if name in COLOURS:
        values[top : top + SQUARE, left : left + SQUARE] = COLOURS[name]
    box = (left / SIDE, top / SIDE, (left + SQUARE) / SIDE, (top + SQUARE) / SIDE)
    return Image.fromarray(values.astype(np.uint8)), box


def model(path: Path) -> Path:
    """Write a small ViT with random weights whose patches are smaller than a square."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    sizes = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 96}
    ViTForImageClassification(ViTConfig(**sizes, image_size=SIDE, patch_size=4)).save_pretrained(path)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(path)
    return path


def folder(path: Path, each: int, seed: int, names: Sequence[str] = (*COLOURS, NOTHING)) -> dict[str, Box]:
    """Write a folder for each class; return where the square of each file is."""
    random, boxes = np.random.default_rng(seed), {}
    for name in names:
        (path / name).mkdir(parents=True)
        for number in range(each):
            image, box = picture(name, random)
            file = f"{name}-{number:03}.png"
            image.save(path / name / file)
            boxes[file] = box
    return boxes
