"""Folders of pictures, and array files, as tables of pictures with labels.

    flowers/rose/1.jpg, flowers/tulip/red/7.png        one folder for each class, however deep the pictures lie
    flowers/train/rose/1.jpg, flowers/test/rose/9.jpg  the same in parts
    pets/train/cat.0.jpg, pets/test/1.jpg              parts; classes in names of files, if configured
    cells.npz, folder of idx files, digits.csv         see `arrays`

A folder that holds a table (names of files and labels) is read as a table. Folders named train or test are parts, never
classes. In a folder of a class every file is a row,
so that each is counted: files that are not pictures are left out later, with a note. Files next to the folders
of the classes, or of the parts, are noted as well.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa

from toolkit.data.formats.csv_files import ADDED
from toolkit.data.images import image_arrays
from toolkit.data.images.image_decoding import SUFFIXES
from toolkit.data.sources.folders import files, visible
from toolkit.data.sources.local_files import are_parts, data_files, forms, in_utf8, split_of
from toolkit.data.sources.local_files import read as read_tables
from toolkit.data.sources.zip_archives import unpacked
from toolkit.errors import DataError
from toolkit.tasks.contract import Tables

SHOWN = 5  # names in a note
# cat.0.jpg, cat_12.jpg, cat (3).jpg: the text before the number, which contains no number itself
_CLASS = re.compile(r"([^\d\W](?:[^\d]*[^\W\d_])?)[ ._-]*\(?\d+\)?")


def read(path: Path, *, class_from_name: bool = False) -> Tables | None:
    """Read a folder of pictures, or array files of them, into tables by part; None where `path` is neither.

    Args:
        path: A file or a folder.
        class_from_name: Whether what stands before the number in a file's name is its class.

    Returns:
        Columns are `image` (name of the file, or the picture itself), `label`, `_file` and `_row`; notes name the
        pictures and tables in it that are passed over.

    Raises:
        DataError: It is one of them, and cannot be read.
    """
    try:
        path = unpacked(path)
        if path.is_file():
            if path.suffix.lower() == ".npz":
                return Tables(image_arrays.read_npz(path))
            pixels = image_arrays.read_pixels(path) if path.name.lower().endswith((".csv", ".csv.gz")) else None
            return None if pixels is None else Tables(pixels)
        if not path.is_dir():
            return None
        return Tables(_by_name(path)) if class_from_name else _folder(path, path)
    except OSError as error:
        raise DataError(
            f"{error.filename or path} cannot be read: {error.strerror or error}.",
            "Check your read permission.",
            id="source.unreadable",
        ) from None


def _folder(folder: Path, root: Path) -> Tables | None:
    idx = image_arrays.idx_files(folder)
    if idx:
        return Tables(image_arrays.read_idx(idx))
    entries = visible(folder)
    packed = [entry for entry in entries if entry.suffix.lower() == ".npz" and entry.is_file()]
    if len(packed) == 1:
        return Tables(image_arrays.read_npz(packed[0]))
    folders = [entry for entry in entries if entry.is_dir()]
    splits = [(entry, split_of(entry.name)) for entry in folders]
    if any(part and data_files(entry) for entry, part in splits):
        return None
    held = {entry: (part, _classes(entry)) for entry, part in splits if part is not None}
    parts: dict[str, list[Path]] = {}
    for part, inside in held.values():
        if inside:
            parts.setdefault(part, []).extend(inside)
    tables = data_files(folder)
    bare = [entry for entry, (_, inside) in held.items() if not inside and _pictures(entry)]
    if bare and not parts and are_parts(bare):
        if tables:
            return None  # they name the class of each picture
        raise _without_classes(folder, bare)
    classes = [] if parts else _classes(folder)
    if tables and not _all_aside(tables, [*chain(*parts.values()), *classes]):
        return None
    notes = [f"{table.name} is ignored: it does not list the pictures beside it." for table in tables]
    notes += forms(folder)
    if parts:
        notes += _unlabelled(bare) + _passed_over([entry for entry in folders if entry not in held])
        notes += _loose(entries)
        return Tables({part: _table(_labelled(classes), root) for part, classes in parts.items()}, notes)
    if len(classes) > 1:
        empty = [entry.name for entry in folders if entry not in classes]
        notes += [f"Folders without pictures are not classes: {', '.join(empty[:SHOWN])}."] if empty else []
        notes += _loose(entries) + _nested(classes)
        return Tables({"all": _table(_labelled(classes), root)}, notes)
    if not folders and len({label for file in _pictures(folder) if (label := _class_of(file))}) > 1:
        raise _without_classes(folder, [])
    inner = _folder(folders[0], root) if len(folders) == 1 else None
    return None if inner is None else Tables(inner.parts, (*notes, *inner.notes))


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures that lie in a folder itself."""
    return [entry for entry in visible(folder) if entry.suffix.lower() in SUFFIXES and entry.is_file()]


def _without_classes(folder: Path, parts: Sequence[Path]) -> DataError:
    """Return the error for a folder, or parts of a data set in it, whose pictures have no classes."""
    names = ", ".join(part.name for part in parts)
    counts = Counter(label for part in parts or [folder] for file in _pictures(part) if (label := _class_of(file)))
    fix = "Put the pictures of each class into a folder of their own (train/rose/1.jpg, train/tulip/2.jpg), or write a "
    fix += "table with a file name and its label in each row, and put it next to these folders."
    if len(counts) > 1:
        shown = ", ".join(f"{label} ({count:,})" for label, count in counts.most_common(SHOWN))
        fix += f" The names of the files begin with {shown}: if these are the classes, add "
        fix += "--set options.class_from_name=true."
    problem = f"The folders {names} in {folder} hold pictures, but they are splits of a data set, not classes."
    return DataError(
        problem if parts else f"The pictures in {folder} are not in class folders.", fix, id="image.no-class-folders"
    )


def _class_of(file: Path) -> str | None:
    match = _CLASS.fullmatch(file.stem)
    return match[1] if match else None


def _by_name(folder: Path) -> dict[str, pa.Table]:
    """Read pictures with the class in their names before a number; a part without such names has no labels."""
    pictures_by_part: dict[str, list[tuple[Path, str | None]]] = {}
    folders = [entry for entry in visible(folder) if entry.is_dir()]
    if len(folders) == 1 and not split_of(folders[0].name) and not _pictures(folder):
        return _by_name(folders[0])
    parts = [entry for entry in folders if split_of(entry.name)]
    for entry in parts if are_parts(parts) else [folder]:
        part = split_of(entry.name) if entry is not folder else "all"
        named = [(file, _class_of(file)) for file in files(entry) if file.suffix.lower() in SUFFIXES]
        pictures_by_part.setdefault(str(part), []).extend(named)
    if len({label for rows in pictures_by_part.values() for _, label in rows if label}) < 2:
        raise DataError(
            f"The names of the pictures in {folder} do not consist of a class and a number, with at least two classes.",
            "Leave out options.class_from_name, and put the pictures of each class into a folder of their own.",
            id="image.no-classes-in-names",
        )
    return {part: _table(rows, folder) for part, rows in pictures_by_part.items() if rows}


def _all_aside(tables: list[Path], classes: list[Path]) -> bool:
    """Whether tables are not about the pictures in the folders of classes: they name none, and have far fewer rows."""
    pictures = [file for label in classes for file in files(label)]
    if len(classes) < 2 or any(split_of(table.name) for table in tables):
        return False
    names = {name for file in pictures for name in (file.name.lower(), file.stem.lower())}
    return all(_aside(table, names, len(pictures)) for table in tables)


def _aside(file: Path, names: set[str], pictures: int) -> bool:
    try:
        (table,) = read_tables(file).parts.values()
    except DataError:
        return False  # the reader of tables reports the fault
    texts = [column for column in table.columns[: -len(ADDED)] if pa.types.is_string(column.type)]
    values = [str(value).lower().replace("\\", "/") for column in texts for value in column.to_pylist()[:100]]
    if any(value.rpartition("/")[2] in names for value in values if value):
        return False
    return any(value.endswith(SUFFIXES) for value in values) or table.num_rows < pictures / 2


def _passed_over(folders: list[Path]) -> list[str]:
    """Note that folders with pictures, other than those of parts, are not read."""
    counts = {entry.name: sum(file.suffix.lower() in SUFFIXES for file in files(entry)) for entry in folders}
    problem = "its name is not that of a split"
    return [f"{name} is ignored, with {count:,} pictures: {problem}." for name, count in counts.items() if count]


def _unlabelled(parts: list[Path]) -> list[str]:
    """Note that parts whose pictures are not in class folders are not read."""
    return [
        f"{part.name} is ignored: its {len(_pictures(part)):,} pictures are not in class folders." for part in parts
    ]


def _nested(classes: list[Path]) -> list[str]:
    """Note that all class folders contain the same folders, so that these may be the classes."""
    inner = [{entry.name for entry in visible(label) if entry.is_dir()} for label in classes]
    shared = sorted(set.intersection(*inner))
    if len(shared) < 2:
        return []
    return [
        f"The classes are {', '.join(label.name for label in classes[:SHOWN])}, and each folder holds the folders "
        f"{', '.join(shared[:SHOWN])}. If these are the classes, move them to the top level, or name the outer "
        "folders train and test."
    ]


def _loose(entries: list[Path]) -> list[str]:
    """Note that pictures outside of all folders are not read."""
    loose = [entry.name for entry in entries if entry.suffix.lower() in SUFFIXES and entry.is_file()]
    more = f" and {len(loose) - SHOWN:,} more" if len(loose) > SHOWN else ""
    return [f"Ignored because they are not in a class folder: {', '.join(loose[:SHOWN])}{more}."] if loose else []


def _classes(folder: Path) -> list[Path]:
    """Return the folders of the classes, where any of them holds a picture."""
    classes = [entry for entry in visible(folder) if entry.is_dir()]
    holds = [any(file.suffix.lower() in SUFFIXES for file in files(entry)) for entry in classes]
    return [entry for entry in classes if any(files(entry))] if any(holds) else []


def _labelled(classes: list[Path]) -> list[tuple[Path, str | None]]:
    return [(file, label.name) for label in classes for file in files(label)]


def _table(rows: Sequence[tuple[Path, str | None]], root: Path) -> pa.Table:
    names = [file.relative_to(root).as_posix() for file, _ in rows]
    # a name that Arrow cannot hold stays out of the table, and the file's contents replace it
    plain = [in_utf8(name) == name for name in names]
    held = [
        {"path": str(file)} if kept else {"bytes": file.read_bytes()}
        for (file, _), kept in zip(rows, plain, strict=True)
    ]
    columns = {
        "image": pa.array(held, pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])),
        "label": pa.array([label and in_utf8(label) for _, label in rows], pa.string()),
        "_file": pa.array([in_utf8(name) for name in names]).dictionary_encode(),
        "_row": pa.repeat(pa.scalar(1, pa.int64()), len(rows)),
    }
    return pa.table(columns)
