"""A contact sheet of pictures of each class: originals, and as augmented in training."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit import checkpoints, runs
from toolkit.config import RunConfig
from toolkit.data.images import image_decoding
from toolkit.data.images.pixels import prepared, shown
from toolkit.data.load import Table
from toolkit.errors import ConfigError, RunError, SourceError
from toolkit.report.pages import contact_sheet
from toolkit.tasks.contract import Recipe
from toolkit.tasks.inputs.image import IMAGE

CLASSES = 20  # that a sheet shows
EACH = 4  # pictures of a class
SIZE = 224  # input pixels of most models


def show(recipe: Recipe, config: RunConfig, table: Table, path: Path) -> str | None:
    """Draw the sheet of a loaded table; return a remark on it, if there is one.

    If the model is not available, pictures have the usual size or the configured one.

    Args:
        recipe: A task with pictures.
        config: Determines how pictures are augmented.
        table: From `load_table`.
        path: PNG file to write.

    Raises:
        ConfigError: The task has no pictures.
    """
    import torch

    role = next((column.role for column in recipe.task.inputs if column.kind is IMAGE), None)
    if role is None:
        raise ConfigError(
            "--show draws pictures, but this recipe has none.",
            "Use --recipe image.",
            id="config.not-for-task",
        )
    loading = config.loading.model_copy(update={"from_scratch": True})  # no weights are needed for this
    remark = None
    try:
        checkpoint = checkpoints.locate(config.model, loading)
    except SourceError as error:
        size = config.options.get("image_size") or SIZE
        config = config.model_copy(update={"options": {**config.options, "image_size": size}})
        checkpoint = checkpoints.locate("vit-tiny", loading)
        remark = f"{error.problem} The contact sheet uses {size} × {size} pixels."
    processor = recipe.load_processor(checkpoint.path, config)
    rows = table.parts.get("train", next(iter(table.parts.values())))
    recipe.check(config, recipe.target)
    change = recipe.augmentation(processor, table.labels, config)
    random = np.random.default_rng(config.training.seed)
    torch.manual_seed(config.training.seed)
    lines = []
    for name, places in _of_each_class(rows, recipe.task.target.role, table.labels, random):
        chosen = rows[role].take(pa.array(places, pa.int64())).to_pylist()
        raw = [image_decoding.decode(row, config.data.max_pixels) for row in chosen]
        seen = prepared(chosen, processor, config.data.max_pixels)
        lines.append((name, raw, shown(_changed(change, torch.from_numpy(seen)), processor)))
    if len(table.labels) > len(lines):
        more = f"The sheet shows {len(lines)} of {len(table.labels)} classes."
        remark = f"{remark} {more}" if remark else more
    try:
        with runs.aside(path) as draft:
            contact_sheet.draw(lines).save(draft, "PNG")
    except RunError as error:
        raise RunError(error.problem, "Run the command in a folder that you can write to.", id=error.id) from None
    return remark


def _of_each_class(rows: pa.Table, target: str, labels: Any, random: np.random.Generator) -> list[tuple[str, Any]]:
    if target not in rows.column_names or not labels:
        return [("", random.permutation(rows.num_rows)[: CLASSES * EACH])]
    values = rows[target].to_pylist()
    classes = [set(value) if isinstance(value, list) else {value} for value in values]  # one of a row, or several
    return [
        (name, random.permutation([place for place, row in enumerate(classes) if number in row])[:EACH])
        for number, name in list(enumerate(labels))[:CLASSES]
    ]


def _changed(change: Any, pixels: Any) -> Any:
    if change is None:
        return pixels
    return change({"pixel_values": pixels, "labels": pixels.new_zeros(len(pixels)).float()})["pixel_values"]
