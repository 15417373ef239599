"""Pictures as columns of a table.

A picture is a structure: its file's `bytes`, or the `path` where they stand; a `digest` of what is seen; `width` and
`height`. Of a folder only paths are held, so that memory does not grow with the pictures.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.config import normal_form
from toolkit.data.images.image_decoding import SUFFIXES, InspectedImage, in_groups, inspect
from toolkit.data.sources.folders import files
from toolkit.errors import DataError

TYPE = pa.struct(
    [
        ("bytes", pa.large_binary()),
        ("path", pa.string()),
        ("digest", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)


_CHUNK = 1024  # pictures in memory at a time


def is_type(kind: pa.DataType) -> bool:
    """Whether a column of this type holds inspected pictures."""
    return bool(kind.equals(TYPE))


def column(values: pa.ChunkedArray, places: Sequence[str], root: Path | None) -> pa.ChunkedArray:
    """Bring a column of pictures into one form; nothing is opened yet.

    Digests and sizes in the file are ignored, since they are not trusted.

    Args:
        values: Structures with "bytes" and "path" as `datasets` writes them, bytes, or names of files.
        places: The file of each row, relative to `root`.
        root: Folder of the data, or the one file of it; None where there is none, as on the Hub.

    Raises:
        DataError: The column holds something else.
    """
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    values = values.cast(kind) if kind is not values.type else values
    if pa.types.is_struct(kind) and {"bytes", "path"} & {field.name for field in kind}:
        names = {field.name for field in kind}
        chunks = [
            _array(
                chunk.field("bytes") if "bytes" in names else pa.nulls(len(chunk)),
                chunk.field("path") if "path" in names else pa.nulls(len(chunk)),
            )
            for chunk in values.chunks
        ]
        return pa.chunked_array(chunks, TYPE)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.chunked_array([_array(chunk, pa.nulls(len(chunk))) for chunk in values.chunks], TYPE)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        finder = _Finder(root)
        paths = [finder.path(name, place) for name, place in zip(values.to_pylist(), places, strict=True)]
        return pa.chunked_array([_array(pa.nulls(len(paths)), pa.array(paths, pa.string()))], TYPE)
    raise DataError(
        f"The picture column holds values of the type {kind}.",
        "It must hold file names, or the bytes of picture files.",
        id="data.wrong-kind",
    )


def _array(data: pa.Array, paths: pa.Array, seen: Sequence[InspectedImage] | None = None) -> pa.Array:
    images = seen if seen is not None else [InspectedImage()] * len(data)
    arrays = [
        data.cast(pa.large_binary()),
        paths.cast(pa.string()),
        pa.array([image.digest for image in images], pa.string()),
        pa.array([image.width for image in images], pa.int32()),
        pa.array([image.height for image in images], pa.int32()),
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(TYPE))


class _Finder:
    """Finds the file that a row names: next to its table, below it, or by the name without extension."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self.known: dict[str, str] | None = None

    def path(self, name: str | None, place: str) -> str | None:
        if not name or not name.strip():
            return None
        name = name.strip()
        folder = self._folder(place)
        direct = Path(name) if folder is None else folder / name
        try:
            if direct.is_file():
                return str(direct)
        except (OSError, ValueError):  # too long, or with a zero byte
            return name
        if folder is None:
            return name
        if self.known is None:
            self.known = _index(folder if self.root is None or self.root.is_file() else self.root)
        return self.known.get(_key(name.replace("\\", "/").removeprefix("./")), str(direct))

    def _folder(self, place: str) -> Path | None:
        if self.root is None:
            return None
        return self.root.parent if self.root.is_file() else (self.root / place).parent if place else self.root


def _key(name: str) -> str:
    """Return a key that all names of one file share, on any system."""
    return normal_form.normal(name).lower()


def _index(folder: Path) -> dict[str, str]:
    """Return the pictures below a folder by name, with and without the extension and the parent folders.

    Names of more than one file are left out.
    """
    paths_by_name: dict[str, list[str]] = {}
    for file in files(folder):
        if file.suffix.lower() in SUFFIXES:
            parts = [_key(part) for part in file.relative_to(folder).parts]
            for start in range(len(parts)):
                whole = "/".join(parts[start:])
                for name in {whole, whole.removesuffix(file.suffix.lower())}:
                    paths_by_name.setdefault(name, []).append(str(file))
    return {name: files[0] for name, files in paths_by_name.items() if len(files) == 1}


def inspected(values: pa.ChunkedArray, most_pixels: int) -> tuple[pa.ChunkedArray, list[str | None]]:
    """Inspect every picture of a column, a few at a time; return the column with its properties, and each problem."""
    chunks: list[pa.Array] = []
    problems: list[str | None] = []
    for start in range(0, len(values), _CHUNK):
        part = values.slice(start, _CHUNK).combine_chunks()
        rows = part.to_pylist()
        seen = in_groups(rows, lambda group: [inspect(row or {}, most_pixels) for row in group])
        problems += [image.problem for image in seen]
        chunks.append(_array(part.field("bytes"), part.field("path"), seen))
    return pa.chunked_array(chunks, TYPE), problems


def name(picture: Mapping[str, Any]) -> str:
    """Return the name of a picture in messages: its file's name, else its size."""
    if picture.get("path"):
        return Path(picture["path"]).name
    return f"{picture.get('width')} × {picture.get('height')} pixels"


def embedded(rows: pa.Table) -> pa.Table:
    """Return rows that hold the bytes of their pictures themselves, so that they can be moved to another machine."""
    for number, field in enumerate(rows.schema):
        if is_type(field.type):
            chunks = [_embedded(rows[field.name].slice(at, _CHUNK)) for at in range(0, rows.num_rows, _CHUNK)]
            rows = rows.set_column(number, field.name, pa.chunked_array(chunks, TYPE))
    return rows


def _embedded(values: pa.ChunkedArray) -> pa.Array:
    pictures = values.to_pylist()
    data = [
        picture["bytes"] if picture["bytes"] is not None else Path(picture["path"]).read_bytes() for picture in pictures
    ]
    paths = [Path(picture["path"]).name if picture["path"] else None for picture in pictures]
    seen = [InspectedImage(picture["digest"], picture["width"], picture["height"]) for picture in pictures]
    return _array(pa.array(data, pa.large_binary()), pa.array(paths, pa.string()), seen)


def slim(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of pictures without their bytes and the folders of this machine."""
    pictures = values.to_pylist()
    paths = [Path(picture["path"]).name if picture and picture["path"] else None for picture in pictures]
    seen = [InspectedImage(picture["digest"], picture["width"], picture["height"]) for picture in pictures]
    return pa.chunked_array([_array(pa.nulls(len(paths)), pa.array(paths, pa.string()), seen)], TYPE)
