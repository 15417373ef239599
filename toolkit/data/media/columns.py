"""Files as columns of a table: pictures and recordings.

A value is a structure: the file's `bytes`, or the `path` where they stand; a `digest` of its decoded content; and the
facts of its medium, such as the width of a picture or the seconds of a recording. Of a folder only paths are held, so
that memory does not grow with the files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.config import normal_form
from toolkit.config.settings import DataConfig
from toolkit.data.sources.folders import files
from toolkit.errors import DataError

_FILE = [("bytes", pa.large_binary()), ("path", pa.string()), ("digest", pa.string())]
_CHUNK = 1024  # files in memory at a time

Value = Mapping[str, Any]


@dataclass(frozen=True)
class Medium:
    """One kind of files that rows hold or name.

    Attributes:
        role: Name of the column that a folder of them becomes.
        nouns: Singular and plural in messages.
        suffixes: Endings of their names, in lower case.
        facts: Arrow fields of what an inspection tells besides "digest" and "problem", both of which it must have as
            attributes.
        inspect: (some values, data settings) → what an inspection tells of each.
        limit: The key of the configuration that bounds their size.
    """

    role: str
    nouns: tuple[str, str]
    suffixes: tuple[str, ...]
    facts: tuple[tuple[str, pa.DataType], ...]
    inspect: Callable[[Sequence[Value], DataConfig], Sequence[Any]]
    limit: str

    @property
    def type(self) -> pa.StructType:
        """Arrow type of a column of them."""
        return pa.struct([*_FILE, *self.facts])


def is_type(kind: pa.DataType) -> bool:
    """Whether a column of this type holds inspected files."""
    return pa.types.is_struct(kind) and [(field.name, field.type) for field in list(kind)[: len(_FILE)]] == _FILE


def column(values: pa.ChunkedArray, places: Sequence[str], root: Path | None, medium: Medium) -> pa.ChunkedArray:
    """Bring a column of files into one form; nothing is opened yet.

    Digests and facts in the table are ignored, since they are not trusted.

    Args:
        values: Structures with "bytes" and "path" as `datasets` writes them, bytes, or names of files.
        places: The file of each row, relative to `root`.
        root: Folder of the data, or the one file of it; None where there is none, as on the Hub.
        medium: What the files are.

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
                medium.type,
            )
            for chunk in values.chunks
        ]
        return pa.chunked_array(chunks, medium.type)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        chunks = [_array(chunk, pa.nulls(len(chunk)), medium.type) for chunk in values.chunks]
        return pa.chunked_array(chunks, medium.type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        finder = _Finder(root, medium.suffixes)
        paths = [finder.path(name, place) for name, place in zip(values.to_pylist(), places, strict=True)]
        return pa.chunked_array([_array(pa.nulls(len(paths)), pa.array(paths, pa.string()), medium.type)], medium.type)
    raise DataError(
        f"The {medium.nouns[0]} column holds values of the type {kind}.",
        f"It must hold file names, or the bytes of {medium.nouns[0]} files.",
        id="data.wrong-kind",
    )


def _array(data: pa.Array, paths: pa.Array, kind: pa.StructType, facts: Mapping[str, Any] | None = None) -> pa.Array:
    """Return an array of files; digest and facts are missing where they are not given."""
    known = facts or {}
    later = [
        known[field.name] if field.name in known else pa.nulls(len(data), field.type)
        for field in kind
        if field.name not in ("bytes", "path")
    ]
    arrays = [data.cast(pa.large_binary()), paths.cast(pa.string()), *later]
    return pa.StructArray.from_arrays(arrays, fields=list(kind))


class _Finder:
    """Finds the file that a row names: next to its table, below it, or by the name without extension."""

    def __init__(self, root: Path | None, suffixes: Sequence[str]) -> None:
        self.root = root
        self.suffixes = suffixes
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
            whole = folder if self.root is None or self.root.is_file() else self.root
            self.known = _index(whole, self.suffixes)
        return self.known.get(_key(name.replace("\\", "/").removeprefix("./")), str(direct))

    def _folder(self, place: str) -> Path | None:
        if self.root is None:
            return None
        return self.root.parent if self.root.is_file() else (self.root / place).parent if place else self.root


def _key(name: str) -> str:
    """Return a key that all names of one file share, on any system."""
    return normal_form.normal(name).lower()


def _index(folder: Path, suffixes: Sequence[str]) -> dict[str, str]:
    """Return the files of a medium below a folder by name, with and without the extension and the parent folders.

    Names of more than one file are left out.
    """
    paths_by_name: dict[str, list[str]] = {}
    for file in files(folder):
        if file.suffix.lower() in suffixes:
            parts = [_key(part) for part in file.relative_to(folder).parts]
            for start in range(len(parts)):
                whole = "/".join(parts[start:])
                for name in {whole, whole.removesuffix(file.suffix.lower())}:
                    paths_by_name.setdefault(name, []).append(str(file))
    return {name: files[0] for name, files in paths_by_name.items() if len(files) == 1}


def inspected(values: pa.ChunkedArray, medium: Medium, data: DataConfig) -> tuple[pa.ChunkedArray, list[str | None]]:
    """Inspect every file of a column, a few at a time; return the column with its facts, and each problem."""
    chunks: list[pa.Array] = []
    problems: list[str | None] = []
    for start in range(0, len(values), _CHUNK):
        part = values.slice(start, _CHUNK).combine_chunks()
        seen = medium.inspect([row or {} for row in part.to_pylist()], data)
        problems += [item.problem for item in seen]
        fields = (("digest", pa.string()), *medium.facts)
        facts = {name: pa.array([getattr(item, name) for item in seen], kind) for name, kind in fields}
        chunks.append(_array(part.field("bytes"), part.field("path"), medium.type, facts))
    return pa.chunked_array(chunks, medium.type), problems


def name(value: Value, otherwise: str = "") -> str:
    """Return the name of a value's file."""
    return Path(value["path"]).name if value.get("path") else otherwise


def embedded(rows: pa.Table) -> pa.Table:
    """Return rows that hold the bytes of their files themselves, so that they can be moved to another machine."""
    for number, field in enumerate(rows.schema):
        if is_type(field.type):
            starts = range(0, rows.num_rows, _CHUNK)
            chunks = [_without_folders(rows[field.name].slice(at, _CHUNK), _read) for at in starts]
            rows = rows.set_column(number, field.name, pa.chunked_array(chunks, field.type))
    return rows


def _read(value: Value) -> bytes:
    held: bytes | None = value["bytes"]
    return held if held is not None else Path(value["path"]).read_bytes()


def slim(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of files without their bytes and the folders of this machine."""
    return pa.chunked_array([_without_folders(values, lambda _value: None)], values.type)


def _without_folders(values: pa.ChunkedArray, content: Callable[[Value], bytes | None]) -> pa.Array:
    """Return files with other content, and of each path the name alone."""
    held = values.to_pylist()
    data = pa.array([content(value) if value else None for value in held], pa.large_binary())
    paths = pa.array([name(value) or None if value else None for value in held], pa.string())
    whole = values.combine_chunks() if values.num_chunks else pa.array([], values.type)
    facts = {field.name: whole.field(field.name) for field in values.type}
    return _array(data, paths, values.type, facts)
