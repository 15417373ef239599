"""A picture."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.config.settings import DataConfig, EvaluationConfig
from toolkit.data.images import image_columns, image_decoding
from toolkit.data.media.validate import validate
from toolkit.evaluation.checks import robustness
from toolkit.evaluation.duplicates import near_duplicate_images
from toolkit.evaluation.perturbations.counterfactual import CounterfactualModel
from toolkit.tasks.inputs import files
from toolkit.tasks.task import PATCH, Checked, Column, Input, Likeness

_SMALL = 24  # pixels of the side on which brightness is measured


def _check(parts: Mapping[str, pa.Table], column: Column, config: DataConfig) -> Checked:
    return validate(parts, column, config, image_columns.PICTURES)


def _sizes(lengths: Any, unit: str) -> tuple[str, str]:
    return (
        "shorter side",
        f"median {np.median(lengths):.0f}, smallest {lengths.min()}, largest {lengths.max()} {unit}",
    )


def _properties(pictures: Sequence[Mapping[str, Any] | None]) -> dict[str, list[float]]:
    """Return the size of each picture, its brightness and its contrast, both from 0 to 1, and its colourfulness."""

    def light(group: Sequence[Any]) -> list[tuple[float, float, float]]:
        found = []
        for picture in group:
            image = image_decoding.decode(picture, sys.maxsize).resize((_SMALL, _SMALL), reducing_gap=2.0)
            pixels = np.asarray(image, np.float64) / 255  # (side, side, 3)
            grey = pixels.mean(axis=2)
            found.append((float(grey.mean()), float(grey.std()), float(pixels.std(axis=2).mean())))
        return found

    there = [picture for picture in pictures if picture is not None]
    measured = iter(image_decoding.in_groups(there, light))
    numbers = [(0.0, 0.0, 0.0) if picture is None else next(measured) for picture in pictures]
    brightness, contrast, colour = map(list, zip(*numbers, strict=True)) if numbers else ([], [], [])
    return {
        "width in pixels": [float(picture["width"]) if picture else 0.0 for picture in pictures],
        "height in pixels": [float(picture["height"]) if picture else 0.0 for picture in pictures],
        "brightness": brightness,
        "contrast": contrast,
        "colourfulness": colour,
    }


def _near(train: pa.Table, test: pa.Table, roles: Sequence[str]) -> list[Any] | None:
    if len(roles) != 1 or train.num_rows * test.num_rows > near_duplicate_images.MOST_COMPARED:
        return None
    return near_duplicate_images.find(train[roles[0]], test[roles[0]])


def _summary(rows: pa.Table, roles: Sequence[str]) -> pa.Table:
    return pa.table({role: near_duplicate_images.summary(rows[role]) for role in roles})


def _changes(
    model: CounterfactualModel,
    examples: Sequence[tuple[Any, ...]],
    places: Sequence[Any],
    truth: Sequence[int],
    _settings: EvaluationConfig,
) -> dict[str, Any]:
    return robustness.of_pictures(model, examples, places, truth)


IMAGE = Input(
    name="image",
    nouns=image_columns.PICTURES.nouns,
    modality="image",
    type=image_columns.TYPE,
    in_shape=lambda table, name: table[name],  # `_check` and `read` know where its files are
    check=_check,
    read=files.reader(image_columns.PICTURES),
    length=lambda value: int(min(value["width"], value["height"])),
    length_unit="pixels",
    sizes=_sizes,
    properties=_properties,
    json=files.json,
    about="A picture file's bytes in base64",
    of_json=files.of_json,
    shown=image_columns.name,
    thumbnail=image_decoding.thumbnail,
    preparing="Preparing pictures",
    unit=PATCH,
    likeness=Likeness(_summary, _near, near_duplicate_images.THRESHOLD),
    changes=_changes,
    files=files.named(image_columns.PICTURES),
)
