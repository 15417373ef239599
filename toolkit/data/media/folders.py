"""Folders of pictures or recordings as tables of files with labels.

    flowers/rose/1.jpg, flowers/tulip/red/7.png        one folder for each class, however deep the files lie
    flowers/train/rose/1.jpg, flowers/test/rose/9.jpg  the same in parts
    pets/train/cat.0.jpg, pets/test/1.jpg              parts; classes in names of files, if configured

A folder that holds a table (names of files and labels) is read as a table. Folders named train or test are parts, never
classes. In a folder of a class every file is a row,
so that each is counted: files of another kind are left out later, with a note. Files next to the folders
of the classes, or of the parts, are noted as well.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa

from toolkit.data.formats.csv_files import ADDED
from toolkit.data.media.columns import Medium
from toolkit.data.sources.folders import files, visible
from toolkit.data.sources.local_files import data_files, forms, in_utf8
from toolkit.data.sources.local_files import read as read_tables
from toolkit.data.sources.part_names import are_parts, part_of
from toolkit.data.sources.zip_archives import unpacked
from toolkit.errors import DataError
from toolkit.tasks.contract import Tables

SHOWN = 5  # names in a note
# cat.0.jpg, cat_12.jpg, cat (3).jpg: the text before the number, which contains no number itself
_CLASS = re.compile(r"([^\d\W](?:[^\d]*[^\W\d_])?)[ ._-]*\(?\d+\)?")


def read(
    path: Path,
    medium: Medium,
    *,
    class_from_name: bool = False,
    packed: Callable[[Path], Tables | None] = lambda _folder: None,
) -> Tables | None:
    """Read a folder of files of a medium into tables by part; None where `path` is none.

    Args:
        path: A folder, or an archive of one.
        medium: What the files are.
        class_from_name: Whether what stands before the number in a file's name is its class.
        packed: Folder → its tables, where it holds the data in another form.

    Returns:
        Columns are the medium's role (the file), `label`, `_file` and `_row`; notes name the files and tables in the
        folder that are passed over.

    Raises:
        DataError: It is one, and cannot be read.
    """
    try:
        path = unpacked(path)
        if not path.is_dir():
            return None
        reader = _Reader(medium, packed)
        return Tables(reader.by_name(path)) if class_from_name else reader.folder(path, path)
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> DataError:
    """Return the error for a file or folder that the system does not let us read."""
    return DataError(
        f"{error.filename or path} cannot be read: {error.strerror or error}.",
        "Check your read permission.",
        id="source.unreadable",
    )


class _Reader:
    """Reads the folders of one medium.

    Attributes:
        medium: What the files are.
        packed: Folder → its tables, where it holds the data in another form.
        files: What the files are called in messages.
    """

    def __init__(self, medium: Medium, packed: Callable[[Path], Tables | None]) -> None:
        self.medium = medium
        self.packed = packed
        self.files = medium.nouns[1]

    def folder(self, folder: Path, root: Path) -> Tables | None:
        other = self.packed(folder)
        if other is not None:
            return other
        entries = visible(folder)
        folders = [entry for entry in entries if entry.is_dir()]
        splits = [(entry, part_of(entry.name)) for entry in folders]
        if any(part and data_files(entry) for entry, part in splits):
            return None
        held = {entry: (part, self._classes(entry)) for entry, part in splits if part is not None}
        parts: dict[str, list[Path]] = {}
        for part, inside in held.values():
            if inside:
                parts.setdefault(part, []).extend(inside)
        tables = data_files(folder)
        bare = [entry for entry, (_, inside) in held.items() if not inside and self._own(entry)]
        if bare and not parts and are_parts([entry.name for entry in bare]):
            if tables:
                return None  # they name the class of each picture
            raise self._without_classes(folder, bare)
        classes = [] if parts else self._classes(folder)
        if tables and not self._all_aside(tables, [*chain(*parts.values()), *classes]):
            return None
        notes = [f"{table.name} is ignored: it does not list the {self.files} beside it." for table in tables]
        notes += forms(folder)
        if parts:
            notes += self._unlabelled(bare) + self._passed_over([entry for entry in folders if entry not in held])
            notes += self._loose(entries)
            return Tables({part: self._table(_labelled(classes), root) for part, classes in parts.items()}, notes)
        if len(classes) > 1:
            empty = [entry.name for entry in folders if entry not in classes]
            notes += [f"Folders without {self.files} are not classes: {', '.join(empty[:SHOWN])}."] if empty else []
            notes += self._loose(entries) + _nested(classes)
            return Tables({"all": self._table(_labelled(classes), root)}, notes)
        if not folders and len({label for file in self._own(folder) if (label := _class_of(file))}) > 1:
            raise self._without_classes(folder, [])
        inner = self.folder(folders[0], root) if len(folders) == 1 else None
        return None if inner is None else Tables(inner.parts, (*notes, *inner.notes))

    def _own(self, folder: Path) -> list[Path]:
        """Return the files of the medium that lie in a folder itself."""
        return [entry for entry in visible(folder) if entry.suffix.lower() in self.medium.suffixes and entry.is_file()]

    def _without_classes(self, folder: Path, parts: Sequence[Path]) -> DataError:
        """Return the error for a folder, or parts of a data set in it, whose files have no classes."""
        names = ", ".join(part.name for part in parts)
        counts = Counter(label for part in parts or [folder] for file in self._own(part) if (label := _class_of(file)))
        suffix = self.medium.suffixes[0]
        fix = f"Put the {self.files} of each class into a folder of their own (train/rose/1{suffix}, "
        fix += f"train/tulip/2{suffix}), or write a table with a file name and its label in each row, and put it next "
        fix += "to these folders."
        if len(counts) > 1:
            shown = ", ".join(f"{label} ({count:,})" for label, count in counts.most_common(SHOWN))
            fix += f" The names of the files begin with {shown}: if these are the classes, add "
            fix += "--set options.class_from_name=true."
        problem = f"The folders {names} in {folder} hold {self.files}, but they are splits of a data set, not classes."
        return DataError(
            problem if parts else f"The {self.files} in {folder} are not in class folders.",
            fix,
            id="media.no-class-folders",
        )

    def by_name(self, folder: Path) -> dict[str, pa.Table]:
        """Read files with the class in their names before a number; a part without such names has no labels."""
        files_by_part: dict[str, list[tuple[Path, str | None]]] = {}
        folders = [entry for entry in visible(folder) if entry.is_dir()]
        if len(folders) == 1 and not part_of(folders[0].name) and not self._own(folder):
            return self.by_name(folders[0])
        parts = [entry for entry in folders if part_of(entry.name)]
        for entry in parts if are_parts([entry.name for entry in parts]) else [folder]:
            part = part_of(entry.name) if entry is not folder else "all"
            named = [(file, _class_of(file)) for file in files(entry) if file.suffix.lower() in self.medium.suffixes]
            files_by_part.setdefault(str(part), []).extend(named)
        if len({label for rows in files_by_part.values() for _, label in rows if label}) < 2:
            raise DataError(
                f"The names of the {self.files} in {folder} do not consist of a class and a number, with at least "
                "two classes.",
                f"Leave out options.class_from_name, and put the {self.files} of each class into their own folder.",
                id="media.no-classes-in-names",
            )
        return {part: self._table(rows, folder) for part, rows in files_by_part.items() if rows}

    def _all_aside(self, tables: list[Path], classes: list[Path]) -> bool:
        """Whether tables are not about the files in the folders of classes: they name none, and have far fewer rows."""
        listed = [file for label in classes for file in files(label)]
        if len(classes) < 2 or any(part_of(table.name) for table in tables):
            return False
        names = {name for file in listed for name in (file.name.lower(), file.stem.lower())}
        return all(self._aside(table, names, len(listed)) for table in tables)

    def _aside(self, file: Path, names: set[str], rows: int) -> bool:
        try:
            (table,) = read_tables(file).parts.values()
        except DataError:
            return False  # the reader of tables reports the fault
        texts = [column for column in table.columns[: -len(ADDED)] if pa.types.is_string(column.type)]
        values = [str(value).lower().replace("\\", "/") for column in texts for value in column.to_pylist()[:100]]
        if any(value.rpartition("/")[2] in names for value in values if value):
            return False
        return any(value.endswith(self.medium.suffixes) for value in values) or table.num_rows < rows / 2

    def _passed_over(self, folders: list[Path]) -> list[str]:
        """Note that folders with files, other than those of parts, are not read."""
        counts = {
            entry.name: sum(file.suffix.lower() in self.medium.suffixes for file in files(entry)) for entry in folders
        }
        problem = "its name is not that of a split"
        return [
            f"{name} is ignored, with {count:,} {self.files}: {problem}." for name, count in counts.items() if count
        ]

    def _unlabelled(self, parts: list[Path]) -> list[str]:
        """Note that parts whose files are not in class folders are not read."""
        return [
            f"{part.name} is ignored: its {len(self._own(part)):,} {self.files} are not in class folders."
            for part in parts
        ]

    def _loose(self, entries: list[Path]) -> list[str]:
        """Note that files outside of all folders are not read."""
        loose = [entry.name for entry in entries if entry.suffix.lower() in self.medium.suffixes and entry.is_file()]
        more = f" and {len(loose) - SHOWN:,} more" if len(loose) > SHOWN else ""
        return [f"Ignored because they are not in a class folder: {', '.join(loose[:SHOWN])}{more}."] if loose else []

    def _classes(self, folder: Path) -> list[Path]:
        """Return the folders of the classes, where any of them holds a file of the medium."""
        classes = [entry for entry in visible(folder) if entry.is_dir()]
        holds = [any(file.suffix.lower() in self.medium.suffixes for file in files(entry)) for entry in classes]
        return [entry for entry in classes if any(files(entry))] if any(holds) else []

    def _table(self, rows: Sequence[tuple[Path, str | None]], root: Path) -> pa.Table:
        names = [file.relative_to(root).as_posix() for file, _ in rows]
        # a name that Arrow cannot hold stays out of the table, and the file's contents replace it
        plain = [in_utf8(name) == name for name in names]
        held = [
            {"path": str(file)} if kept else {"bytes": file.read_bytes()}
            for (file, _), kept in zip(rows, plain, strict=True)
        ]
        columns = {
            self.medium.role: pa.array(held, pa.struct([("bytes", pa.large_binary()), ("path", pa.string())])),
            "label": pa.array([label and in_utf8(label) for _, label in rows], pa.string()),
            "_file": pa.array([in_utf8(name) for name in names]).dictionary_encode(),
            "_row": pa.repeat(pa.scalar(1, pa.int64()), len(rows)),
        }
        return pa.table(columns)


def _class_of(file: Path) -> str | None:
    match = _CLASS.fullmatch(file.stem)
    return match[1] if match else None


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


def _labelled(classes: list[Path]) -> list[tuple[Path, str | None]]:
    return [(file, label.name) for label in classes for file in files(label)]
