"""Digests of all that determines the output of `predict`, so that only the same prediction is resumed."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import toolkit
from toolkit import runs
from toolkit.commands.predict.predictor import Predictor
from toolkit.data.sources import folders
from toolkit.data.sources.row_formats import Row

_CHUNK = 1024  # rows whose picture files are hashed at a time


def identity(
    predictor: Predictor, source: Path, read: Callable[[], Iterator[Row]], rows: Sequence[Any]
) -> dict[str, Any]:
    """Return digests of the model, the settings and the input.

    Args:
        predictor: The model, and its input columns.
        source: The file or folder that is read.
        read: Reads its rows from the first on.
        rows: Rows in a part, and the columns that are written.
    """
    stored = predictor.stored
    settings = stored.config.model_dump()
    return {
        "toolkit": toolkit.__version__,
        "model": {file.name: runs.digest(file) for file in sorted(stored.folder.iterdir()) if file.is_file()},
        "recipe": runs.digest(Path(stored.recipe.file)),
        "settings": {
            **{key: settings[key] for key in ("attention", "data", "options")},
            "precision": settings["evaluation"]["precision"],
            "acceleration": settings["training"]["acceleration"],
            "rows": list(rows),
        },
        "input": content(source, _named_files(predictor, source, read)),
    }


def content(source: Path, named: Iterable[Path] = ()) -> str:
    """Return a digest of a file, or of all files of a folder with their names, and of the files that a table names."""
    files = folders.files(source) if source.is_dir() else [source]
    digest = hashlib.sha256()
    for file in (*files, *named):
        name = file.relative_to(source) if source.is_dir() else file.name
        held = runs.digest(file) if file.is_file() else ""  # a link may lead nowhere
        digest.update(os.fsencode(name) + f"\0{held}\0".encode())
    return digest.hexdigest()


def _named_files(predictor: Predictor, source: Path, read: Callable[[], Iterator[Row]]) -> Iterator[Path]:
    """Yield the files that the rows of a table refer to."""
    columns = [column for column in predictor.inputs if column.kind.files is not None]
    if source.is_dir() or not columns:
        return
    rows = read()
    while chunk := list(islice(rows, _CHUNK)):
        for column in columns:
            yield from column.kind.files([row.value(predictor.roles[column.role]) for row in chunk], source)
