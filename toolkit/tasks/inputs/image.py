"""A picture."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa

from toolkit.config.settings import DataConfig, EvaluationConfig
from toolkit.data.images import image_columns, image_decoding
from toolkit.data.media import columns as media_columns
from toolkit.data.media.validate import validate
from toolkit.evaluation.checks import robustness
from toolkit.evaluation.duplicates import near_duplicate_images
from toolkit.evaluation.perturbations.counterfactual import CounterfactualModel
from toolkit.tasks.task import PATCH, Checked, Column, Input, Likeness, Reading, Values


def _check(parts: Mapping[str, pa.Table], column: Column, config: DataConfig) -> Checked:
    return validate(parts, column, config, image_columns.PICTURES)


def _read(values: Sequence[Any], name: str, reading: Reading) -> Values:
    """Decode the pictures that rows hold or name; predictions are written next to the name of each."""
    raw = image_columns.column(pa.chunked_array([pa.array(values)]), [""] * len(values), reading.root)
    column, reasons = media_columns.inspected(raw, image_columns.PICTURES, reading.data)
    shown: list[Any] = []
    problems: list[str | None] = []
    for number, (value, problem) in enumerate(zip(values, reasons, strict=True)):
        called = value if isinstance(value, str) else _called(raw[number].as_py())
        shown.append(called)
        named = f"`{called}`" if called else "the picture"
        problems.append(f"`{name}` is empty" if value is None else problem and f"{named} {problem}")
    return Values(column, problems, shown)


def _called(picture: Mapping[str, Any] | None) -> str | None:
    return image_columns.name(picture) if picture and picture.get("path") else None


def _sizes(lengths: Any, unit: str) -> tuple[str, str]:
    return (
        "shorter side",
        f"median {np.median(lengths):.0f}, smallest {lengths.min()}, largest {lengths.max()} {unit}",
    )


def _json(_most: int) -> Any:
    from pydantic import Field

    return Annotated[str, Field(min_length=1)]


def _of_json(text: str) -> dict[str, bytes]:
    """Decode base64, also of a data address as browsers make them.

    Raises:
        ValueError: It is not written in base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    return {"bytes": base64.b64decode(text, validate=True)}


def _near(train: pa.Table, test: pa.Table, roles: Sequence[str]) -> list[Any] | None:
    if len(roles) != 1 or train.num_rows * test.num_rows > near_duplicate_images.MOST_COMPARED:
        return None
    return near_duplicate_images.find(train[roles[0]], test[roles[0]])


def _changes(
    model: CounterfactualModel,
    values: Sequence[Any],
    places: Sequence[Any],
    truth: Sequence[int],
    _settings: EvaluationConfig,
) -> dict[str, Any]:
    return robustness.of_pictures(model, values, places, truth)


def _files(values: Sequence[Any], source: Path) -> Sequence[Path]:
    """Return the files that values name."""
    names = [value for value in values if isinstance(value, str)]
    pictures = image_columns.column(pa.chunked_array([pa.array(names, pa.string())]), [""] * len(names), source)
    return [Path(picture["path"]) for picture in pictures.to_pylist() if picture["path"]]


IMAGE = Input(
    name="image",
    nouns=("picture", "pictures"),
    modality="image",
    type=image_columns.TYPE,
    in_shape=lambda table, name: table[name],  # `_check` and `_read` know where its files are
    check=_check,
    read=_read,
    length=lambda value: int(min(value["width"], value["height"])),
    length_unit="pixels",
    sizes=_sizes,
    json=_json,
    about="A picture file's bytes in base64",
    of_json=_of_json,
    shown=image_columns.name,
    thumbnail=image_decoding.thumbnail,
    preparing="Preparing pictures",
    unit=PATCH,
    likeness=Likeness(_near, near_duplicate_images.THRESHOLD),
    changes=_changes,
    files=_files,
)
