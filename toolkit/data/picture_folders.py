"""Folders of pictures, and array files, as tables of pictures with labels.

    flowers/rose/1.jpg, flowers/tulip/red/7.png        one folder for each class, however deep the pictures lie
    flowers/train/rose/1.jpg, flowers/test/rose/9.jpg  the same in parts
    cells.npz, folder of idx files, digits.csv         see `arrays`

A folder that holds a table (names of files and labels) is read as a table. In a folder of a class every file is a row,
so that each is accounted for: what turns out to be no picture is left out later, and said. What lies beside the folders
of the classes, or of the parts, is said as well.
"""

from itertools import chain
from pathlib import Path

import pyarrow as pa

from toolkit.data import arrays
from toolkit.data.folders import files, visible
from toolkit.data.packed import unpacked
from toolkit.data.pictures import SUFFIXES
from toolkit.data.read import data_files, in_utf8, split_of
from toolkit.data.read import read as read_tables
from toolkit.data.text_formats import ADDED
from toolkit.errors import DataError

SHOWN = 5  # names in a note


def read(path: Path, notes: list[str]) -> dict[str, pa.Table] | None:
    """Read a folder of pictures, or array files of them, into tables by part; None where `path` is neither.

    Args:
        path: A file or a folder.
        notes: Told of pictures and tables in it that are passed over.

    Returns:
        Columns are `image` (name of the file, or the picture itself), `label`, `_file` and `_row`.

    Raises:
        DataError: It is one of them, and cannot be read.
    """
    try:
        path = unpacked(path)
        if path.is_file():
            if path.suffix.lower() == ".npz":
                return arrays.read_npz(path)
            return arrays.read_pixels(path) if path.name.lower().endswith((".csv", ".csv.gz")) else None
        return _folder(path, path, notes) if path.is_dir() else None
    except OSError as error:
        raise DataError(
            f"{error.filename or path} cannot be read: {error.strerror or error}.", "Check that you may read it."
        ) from None


def _folder(folder: Path, root: Path, notes: list[str]) -> dict[str, pa.Table] | None:
    idx = arrays.idx_files(folder)
    if idx:
        return arrays.read_idx(idx)
    entries = visible(folder)
    packed = [entry for entry in entries if entry.suffix.lower() == ".npz" and entry.is_file()]
    if len(packed) == 1:
        return arrays.read_npz(packed[0])
    folders = [entry for entry in entries if entry.is_dir()]
    splits = [(entry, split_of(entry.name)) for entry in folders]
    if any(part and data_files(entry) for entry, part in splits):
        return None
    held = {entry: (part, _classes(entry)) for entry, part in splits if part is not None}
    parts: dict[str, list[Path]] = {}
    for part, inside in held.values():
        if inside:
            parts.setdefault(part, []).extend(inside)
    classes = [] if parts else _classes(folder)
    tables = data_files(folder)
    if tables and not _all_aside(tables, [*chain(*parts.values()), *classes]):
        return None
    notes += [f"{table.name} is not read: it is no table of the pictures beside it." for table in tables]
    if parts:
        notes += _passed_over([entry for entry in folders if not (entry in held and held[entry][1])])
        notes += _loose(entries)
        return {part: _table(classes, root) for part, classes in parts.items()}
    if len(classes) > 1:
        empty = [entry.name for entry in folders if entry not in classes]
        notes += [f"No picture lies in {', '.join(empty[:SHOWN])}, so there is no such class."] if empty else []
        notes += _loose(entries)
        return {"all": _table(classes, root)}
    return _folder(folders[0], root, notes) if len(folders) == 1 else None


def _all_aside(tables: list[Path], classes: list[Path]) -> bool:
    """Whether tables are not about the pictures in the folders of classes: they name none, and have far fewer rows."""
    pictures = sum(1 for label in classes for _ in files(label))
    if len(classes) < 2 or any(split_of(table.name) for table in tables):
        return False
    return all(_aside(table, pictures) for table in tables)


def _aside(file: Path, pictures: int) -> bool:
    try:
        (table,) = read_tables(file).values()
    except DataError:
        return False  # whoever reads tables says what is wrong
    texts = [column for column in table.columns[: -len(ADDED)] if pa.types.is_string(column.type)]
    named = any(str(value).lower().endswith(SUFFIXES) for column in texts for value in column.to_pylist()[:100])
    return not named and table.num_rows < pictures / 2


def _passed_over(folders: list[Path]) -> list[str]:
    """Say of folders with pictures, beside those of parts, that they are not read."""
    counts = {entry.name: sum(file.suffix.lower() in SUFFIXES for file in files(entry)) for entry in folders}
    problem = "it holds no part of the data by its name"
    return [f"{name} is not read, with {count:,} pictures: {problem}." for name, count in counts.items() if count]


def _loose(entries: list[Path]) -> list[str]:
    """Say of pictures outside of all folders that they are not read."""
    loose = [entry.name for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    more = f" and {len(loose) - SHOWN:,} more" if len(loose) > SHOWN else ""
    return [f"In no folder of a class, and not read: {', '.join(loose[:SHOWN])}{more}."] if loose else []


def _classes(folder: Path) -> list[Path]:
    """Return the folders of the classes, where any of them holds a picture."""
    classes = [entry for entry in visible(folder) if entry.is_dir()]
    holds = [any(file.suffix.lower() in SUFFIXES for file in files(entry)) for entry in classes]
    return [entry for entry in classes if any(files(entry))] if any(holds) else []


def _table(classes: list[Path], root: Path) -> pa.Table:
    rows = [(file, label.name) for label in classes for file in files(label)]
    names = [file.relative_to(root).as_posix() for file, _ in rows]
    # a name that Arrow cannot hold stays out of the table, and the file's contents stand in for it
    plain = [in_utf8(name) == name for name in names]
    held = [
        {"path": str(file)} if kept else {"bytes": file.read_bytes()}
        for (file, _), kept in zip(rows, plain, strict=True)
    ]
    columns = {
        "image": pa.array(held, pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])),
        "label": pa.array([in_utf8(label) for _, label in rows], pa.string()),
        "_file": pa.array([in_utf8(name) for name in names]).dictionary_encode(),
        "_row": pa.repeat(pa.scalar(1, pa.int64()), len(rows)),
    }
    return pa.table(columns)
