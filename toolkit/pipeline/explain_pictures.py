"""Pictures to explain: where they come from, and how they are made ready for the model."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.data import columns, picture_folders, pictures, pixels
from toolkit.data.read import read
from toolkit.errors import DataError, SourceError
from toolkit.explain import patches
from toolkit.explain.patches import Picture
from toolkit.explain.question import Model
from toolkit.pipeline import judge

Row = Mapping[str, Any]  # with "bytes" or "path", as a table of pictures has it


def read_pictures(path: Path, recipe: Any, config: Any) -> list[Row]:
    """Read one picture, all pictures of a folder, or those that a table names or holds.

    Raises:
        SourceError: There is no such file.
        DataError: There is no picture in it.
    """
    if path.is_dir():
        found: list[Row] = [{"path": str(file)} for file in picture_folders.files(path)]
    elif not path.is_file():
        raise SourceError(f"There is no file {path}.", "Check the path.")
    elif path.suffix.lower() in {".csv", ".tsv", ".json", ".jsonl", ".parquet"}:
        table = pa.concat_tables(read(path).values(), promote_options="permissive")
        wanted = [column for column in recipe.COLUMNS if column.kind == "image"]
        named = {role: name for role, name in config.data.columns.items() if name in table.column_names}
        name = columns.find(table.column_names, wanted, {k: v for k, v in named.items() if k == wanted[0].role})
        values = table[name[wanted[0].role]]
        found = pictures.column(values, [path.name] * len(values), path).to_pylist()
    else:
        found = [{"path": str(path)}]
    if not found:
        raise DataError(f"{path} holds no picture.", "Give a picture, a folder of them, or a table that names them.")
    return found


def asked(loaded: judge.Subject) -> Model:
    """Return the model as it is asked about pictures: they reach it normalised, so that gradients reach them."""
    collate = partial(loaded.recipe.collate, processor=loaded.processor)

    def normalised(features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        batch = collate(features)
        return {"pixel_values": pixels.normalised(batch["pixel_values"], loaded.processor)}

    return Model(loaded.model, normalised, 0, loaded.config.evaluation.batch_size)


def prepare(loaded: judge.Subject, rows: Sequence[Row]) -> list[Any]:
    """Decode and cut pictures as the recipe does. Each of shape (3, H, W).

    Raises:
        DataError: A picture cannot be read.
    """
    (role,) = (column.role for column in loaded.recipe.COLUMNS if column.kind == "image")
    for row in rows:
        if problem := pictures.look(row, loaded.config.data.max_pixels).problem:
            raise DataError(f"The picture {pictures.name(row)} {problem}.", "Name another, or leave it out.")
    return list(loaded.recipe.preprocess({role: list(rows)}, loaded.processor, loaded.config)["pixel_values"])


def with_patches(model: Model, cut: Sequence[Any], rows: Sequence[Row], watched: bool) -> list[Picture]:
    """Divide pictures into patches: the model's own where its attention is over the whole picture."""
    found = patches.layout(model, cut[0]) if watched else None
    grid, leading = found or ((patches.GRID, patches.GRID), 0)
    return [Picture(pictures.name(row), one, grid, leading) for row, one in zip(rows, cut, strict=True)]
