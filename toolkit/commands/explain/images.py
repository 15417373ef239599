"""Pictures to explain: their sources, and their preparation for the model."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.commands.explain.request import RecipeAndConfig, table_of
from toolkit.data.images import image_columns, image_decoding, pixels
from toolkit.data.sources import folders
from toolkit.data.sources.local_files import SUFFIXES as TABLES
from toolkit.data.sources.local_files import data_files
from toolkit.data.tables import columns
from toolkit.errors import DataError, SourceError
from toolkit.explanation import patches, regions
from toolkit.explanation.attributions import Explanation
from toolkit.explanation.patches import Picture
from toolkit.explanation.question import ONE_CLASS, Model
from toolkit.inference.model import LoadedModel

Row = Mapping[str, Any]  # with "bytes" or "path", as a table of pictures has it, and perhaps a "box"
BOX = "box"  # column with the position of the object: left, top, right, bottom in pixels


def read_pictures(path: Path, subject: RecipeAndConfig) -> list[Row]:
    """Read one picture, all good pictures of a folder, or those that a table names or holds.

    A folder that holds one table is read as the table.

    Raises:
        SourceError: There is no such file.
        DataError: There is no picture in it.
    """
    tables = data_files(path) if path.is_dir() else []
    path = tables[0] if len(tables) == 1 else path
    if path.is_dir():
        most = subject.config.data.max_pixels
        every: list[Row] = [{"path": str(file)} for file in folders.files(path)]
        pictures = [picture for picture in every if image_decoding.inspect(picture, most).problem is None]
    elif not path.is_file():
        raise SourceError(f"There is no file {path}.", "Check the path.", id="source.file-missing")
    elif path.name.lower().endswith(TABLES):
        table = table_of(path, subject)
        wanted = subject.recipe.task.inputs
        named = {role: name for role, name in subject.config.data.columns.items() if name in table.column_names}
        name = columns.find(table.column_names, wanted, {k: v for k, v in named.items() if k == wanted[0].role})
        values = table[name[wanted[0].role]]
        pictures = image_columns.column(values, [path.name] * len(values), path).to_pylist()
        boxes = table[BOX].to_pylist() if BOX in table.column_names else [None] * len(pictures)
        pictures = [{**picture, BOX: box} for picture, box in zip(pictures, boxes, strict=True)]
    else:
        pictures = [{"path": str(path)}]
    if not pictures:
        raise DataError(
            f"{path} contains no picture.",
            "Give a picture, a folder of pictures, or a table with their paths.",
            id="image.none-found",
        )
    return pictures


def model_for(loaded: LoadedModel) -> Model:
    """Return a forward function of the model on normalised pictures, so that gradients reach the pixels."""
    collate = partial(loaded.recipe.collate, processor=loaded.processor)

    def normalised(features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        batch = collate(features)
        return {"pixel_values": pixels.normalised(batch["pixel_values"], loaded.processor)}

    outcome = loaded.recipe.target.outcome or ONE_CLASS
    return Model(loaded.model, normalised, 0, loaded.config.evaluation.batch_size, outcome=outcome)


def prepare(loaded: LoadedModel, rows: Sequence[Row]) -> list[Any]:
    """Decode and cut pictures as the recipe does. Each of shape (3, H, W).

    Raises:
        DataError: A picture cannot be read.
    """
    (role,) = (column.role for column in loaded.recipe.task.inputs)
    for row in rows:
        if problem := image_decoding.inspect(row, loaded.config.data.max_pixels).problem:
            raise DataError(
                f"The picture {image_columns.name(row)} {problem}.",
                "Replace it, or leave it out.",
                id="media.unreadable",
            )
    return list(loaded.preprocess({role: list(rows)})["pixel_values"])


def boxes_in_view(loaded: LoadedModel, rows: Sequence[Row]) -> list[regions.Box | None]:
    """Return where each row's box is in the picture as the model sees it, None for rows without one.

    A white box on black is cropped like the picture, so the crop itself need not be known.

    Raises:
        DataError: A box is not one, or lies outside its picture.
    """
    boxes_seen: list[regions.Box | None] = []
    for row in rows:
        written = row.get(BOX)
        if written is None or written == "":
            boxes_seen.append(None)
            continue
        box, seen = regions.read_box(written), image_decoding.inspect(row, loaded.config.data.max_pixels)
        width, height = seen.width or 0, seen.height or 0
        if box is None or box[2] > width or box[3] > height:
            raise DataError(
                f"The box `{written}` of {image_columns.name(row)} does not lie in its {width} × {height} pixels.",
                f"Give left, top, right and bottom in pixels in the column `{BOX}`, or leave it empty.",
                id="image.box-outside",
            )
        (mask,) = prepare(loaded, [{"bytes": _white_box(box, width, height)}])
        boxes_seen.append(regions.around(np.asarray(mask, np.float64).mean(axis=0) / 255))
    return boxes_seen


def _white_box(box: regions.Box, width: int, height: int) -> bytes:
    from PIL import Image, ImageDraw

    image, stream = Image.new("L", (width, height)), io.BytesIO()
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    image.convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def evaluate_regions(
    loaded: LoadedModel, rows: Sequence[Row], explained: Sequence[Explanation], methods: Sequence[str]
) -> dict[str, Any] | None:
    """Measure how well each method's regions match the given boxes; None without boxes.

    Args:
        loaded: The model.
        rows: Pictures, with their boxes.
        explained: Explanations of the first of them, in their order; the first one of each picture counts, which is of
            its most probable class.
        methods: Names of methods.
    """
    boxes = boxes_in_view(loaded, rows)
    first: dict[int, Explanation] = {}
    for explanation in explained:
        first.setdefault(id(explanation.example), explanation)
    given = [(explanation, box) for explanation, box in zip(first.values(), boxes, strict=False) if box is not None]
    if not given:
        return None
    settings = loaded.config.evaluation
    return {
        name: regions.evaluate(
            [
                (explanation.scores[name], explanation.example.grid)
                for explanation, _ in given
                if isinstance(explanation.example, Picture)
            ],
            [box for _, box in given],
            confidence=settings.confidence,
            resamples=settings.resamples,
            seed=loaded.config.training.seed,
        )
        for name in methods
    }


def with_patches(model: Model, cut: Sequence[Any], rows: Sequence[Row], watched: bool) -> list[Picture]:
    """Divide pictures into patches: the model's own where its attention is over the whole picture."""
    layout = patches.layout(model, cut[0]) if watched else None
    grid, leading = layout or ((patches.GRID, patches.GRID), 0)
    return [Picture(image_columns.name(row), pixels, grid, leading) for row, pixels in zip(rows, cut, strict=True)]
