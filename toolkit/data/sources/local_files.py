"""Local files and folders as Arrow tables.

    reviews.csv                                       one table, "all"
    folder/train.csv, folder/test.csv                 one table per split
    folder/data/train-00000-of-00002.parquet, …       shards are joined in the order of their names
    folder/train/pos/1.txt, folder/train/neg/7.txt    one text per file, the folder is its label
    lines.txt                                         one text per line, with its label or without: see `text_lines`
    reviews.xlsx                                      one sheet of it, or sheets named train and test
    reviews.db                                        the rows of a query
    saved/dataset_dict.json, saved/train/…            as `save_to_disk` of the datasets library writes it
    reviews.zip                                       its contents, as if unpacked

Every row has its origin, `_file` and `_row`, so that it can be found again in the user's own file.
"""

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from toolkit.data.formats import arrow_files, database_files
from toolkit.data.formats.csv_files import ADDED, check_delimiter, read_csv
from toolkit.data.formats.json_rows import read_json
from toolkit.data.formats.spreadsheets import workbook_reader
from toolkit.data.formats.text_decoding import check_encoding, read_text
from toolkit.data.formats.text_lines import read_lines
from toolkit.data.sources.folders import files, visible
from toolkit.data.sources.missing_files import missing
from toolkit.data.sources.other_formats import advice_for
from toolkit.data.sources.part_names import PARTS_BY_NAME, are_parts, by_part, part_of
from toolkit.data.sources.zip_archives import opened
from toolkit.errors import DataError
from toolkit.tasks.contract import Tables

CSV_SUFFIXES = (".csv", ".tsv", ".tab")
TEXT_SUFFIXES = (*CSV_SUFFIXES, ".jsonl", ".ndjson", ".json")
LINES = (".txt", ".txt.gz")
_PACKED = (*arrow_files.SUFFIXES, *workbook_reader.SUFFIXES, *database_files.SUFFIXES)
SUFFIXES = (*TEXT_SUFFIXES, *(f"{suffix}.gz" for suffix in TEXT_SUFFIXES), *_PACKED)
KNOWN = f"{', '.join(TEXT_SUFFIXES)}, .txt (each also with .gz), {', '.join(_PACKED)} and .zip"
# A sample submission, as in competitions: its labels are placeholders.
_FORM = re.compile(r"sample[ _-]?submissions?(?![a-z])", re.IGNORECASE)
# Files that the datasets library writes next to the data.
_NOT_DATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", arrow_files.STATE}


@dataclass(frozen=True)
class _Form:
    """How text files are written.

    Attributes:
        encoding: None: UTF-8, or that of a byte order mark.
        delimiter: None: detected.
        names: Of the columns; empty where the first line has them.
        sheet: Of a workbook; None: the first.
        query: Of a database; None: all rows of its only table.
    """

    encoding: str | None
    delimiter: str | None
    names: Sequence[str]
    sheet: str | None
    query: str | None


def read(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    names: Sequence[str] = (),
    sheet: str | None = None,
    query: str | None = None,
) -> Tables:
    """Read a file, or a folder of files, into Arrow tables.

    Args:
        path: A .csv, .tsv, .tab, .jsonl, .ndjson, .json or .txt file (each also with .gz), a .parquet, .arrow,
            .feather, .xlsx or .xlsm file, a database, a folder, or a .zip of one or of files.
        encoding: Of text files; without it UTF-8, or UTF-16 with a byte order mark.
        delimiter: Of .csv, .tsv and .tab files; without it found from the header line.
        names: Of the columns of such files, of .txt and of sheets, where no line of them has any.
        sheet: Of a workbook; without it those named like parts, or else the first.
        query: Of a database; without it all rows of its only table.

    Returns:
        The part "all" of a single file, or one of "train", "validation" and "test" for each that a folder holds; and
        notes on what was passed over, or guessed. Two columns are added at the end of each: `_file`, relative to
        `path`, and `_row`, the 1-based line on which the row starts (in Parquet, Arrow and JSON lists: the 1-based
        number of the record; in workbooks: of the row in the sheet; in databases: of the row that the query returned).

    Raises:
        SourceError: `path` does not exist.
        DataError: The content cannot be read as a table.
    """
    if encoding:
        check_encoding(encoding)
    form = _Form(encoding, check_delimiter(delimiter), names, sheet, query)
    try:
        if not path.exists():
            raise missing(path)
        with opened(path) as place:
            splits, labels = _find_splits(place) if place.is_dir() else ({"all": [place]}, {})
            sheets = _sheets_of_parts(splits, form)
            read_splits = (
                _read_sheets(splits["all"][0], place, form, sheets)
                if sheets
                else {split: _read_split(files, place, form, labels) for split, files in splits.items()}
            )
            notes = chain(
                _forms(splits) if place.is_dir() else [], *(split_notes for _, split_notes in read_splits.values())
            )
            return Tables({split: table for split, (table, _) in read_splits.items()}, tuple(notes))
    except OSError as error:
        raise DataError(
            f"{error.filename or path} cannot be read: {error.strerror or error}.",
            "Check that the file exists and that you have read permission (ls -l shows it).",
            id="source.unreadable",
        ) from None


# --- folders --------------------------------------------------------------------------------------------------------


def _suffix(path: Path) -> str:
    """Return the known ending of a file name, such as ".csv.gz", or nothing."""
    return next((suffix for suffix in (*SUFFIXES, *LINES) if path.name.lower().endswith(suffix)), "")


def data_files(folder: Path) -> list[Path]:
    """Return the tables in a folder; text files do not count, since any folder may hold a readme.txt."""
    saved = arrow_files.shards(folder)
    if saved:
        return saved
    tables = [p for p in visible(folder) if _suffix(p) in SUFFIXES and p.name not in _NOT_DATA and not p.is_dir()]
    return [table for table in tables if not _FORM.match(table.name)]


def forms(folder: Path) -> list[str]:
    """Note that sample submissions in a folder are not read."""
    return [
        f"{entry.name} is ignored: by its name it is a sample submission with placeholder labels."
        for entry in visible(folder)
        if _FORM.match(entry.name) and _suffix(entry) in SUFFIXES
    ]


def _forms(splits: Mapping[str, Sequence[Path]]) -> list[str]:
    folders = dict.fromkeys(file.parent for files in splits.values() for file in files[:1])
    return [sentence for folder in folders for sentence in forms(folder)]


def _class_files(folder: Path) -> dict[Path, str]:
    """Return the texts of a folder that holds one folder per class, pos/1.txt, neg/2.txt, with their labels."""
    labels: dict[Path, str] = {}
    for entry in visible(folder):
        if entry.is_dir() and not any(part_of(inner.name) for inner in visible(entry) if inner.is_dir()):
            texts = [file for file in files(entry) if file.suffix.lower() == ".txt"]
            labels |= dict.fromkeys(texts, in_utf8(entry.name))
    return labels


def _find_splits(folder: Path) -> tuple[dict[str, list[Path]], dict[Path, str]]:
    """Return the files of each split in `folder`, and the labels of those that are one text each."""
    entries = visible(folder)
    if (folder / "config.json").exists() and any(entry.suffix == ".safetensors" for entry in entries):
        raise DataError(
            f"{folder} looks like a model (config.json and .safetensors), not like a data set.",
            "Give the folder or file that holds the data; give a model with --model.",
            id="source.model-as-data",
        )
    splits: dict[str, list[Path]] = {split: [] for split in PARTS_BY_NAME.values()}
    labels: dict[Path, str] = {}
    for entry in entries:
        if part := part_of(entry.name):
            if entry.is_dir():
                tables = data_files(entry)
                texts = {} if tables else _class_files(entry)
                splits[part] += tables or texts
                labels |= texts
            elif _suffix(entry) in SUFFIXES:
                splits[part].append(entry)
    if any(splits.values()):
        return {split: files for split, files in splits.items() if files}, labels
    return _find_unnamed(folder, entries)


def _find_unnamed(folder: Path, entries: list[Path]) -> tuple[dict[str, list[Path]], dict[Path, str]]:
    """Return the same of a folder in which no table is named train, validation or test."""
    tables = data_files(folder)
    if len(tables) == 1 or tables == arrow_files.shards(folder) != []:
        return {"all": tables}, {}
    if tables:
        raise DataError(
            f"{folder} holds {len(tables)} data files, and their names do not say which to use: {_listed(tables)}.",
            f"Name one of them, such as {tables[0]}, or rename them to train and test (train{_suffix(tables[0])}, …).",
            id="source.ambiguous",
        )
    labels = _class_files(folder)
    parents = sorted({text.parent for text in labels})
    if are_parts([parent.name for parent in parents]):
        raise DataError(
            f"{folder} holds texts in {_listed(parents)}, which are splits of a data set, not classes; the texts in "
            "them have no labels.",
            "Put the texts of each class into a folder of their own (train/good/1.txt, train/bad/2.txt), or give a "
            "table with a text and a label in each row.",
            id="label.missing",
        )
    if len(set(labels.values())) > 1:
        return {"all": list(labels)}, labels
    lines = _lines(entries)
    if lines:
        return lines, labels
    folders = [entry for entry in entries if entry.is_dir()]
    inner = [entry for entry in folders if entry.name == "data"] or folders
    if len(inner) == 1:
        return _find_splits(inner[0])  # the folder is not that of a class
    if not entries:
        raise DataError(
            f"The folder {folder} is empty.",
            f"Give a file or folder that holds data: {KNOWN}; for pictures also a folder for each class, .npz or idx.",
            id="source.no-data-in-folder",
        )
    inside = itertools.islice((file.suffix.lower() for file in folder.rglob("*.*") if file.is_file()), 1000)
    kinds = sorted({suffix for suffix in inside if suffix})
    below = f"; files in them end in {', '.join(kinds[:5])}" if folders and kinds else ""
    advice = f"Data files end in {KNOWN}. If the data is in one of the folders, give that folder."
    advice = next((text for suffix in kinds if (text := advice_for(Path(f"_{suffix}")))), advice)
    raise DataError(
        f"{folder} holds no readable data; it holds {_listed(entries)}{below}.",
        advice,
        id="source.no-data-in-folder",
    )


def _lines(entries: list[Path]) -> dict[str, list[Path]]:
    """Return the files of lines of text in a folder that holds no table: by their parts, or the only one."""
    texts = [entry for entry in entries if _suffix(entry) in LINES and not entry.is_dir()]
    named: dict[str, list[Path]] = {}
    for text in texts:
        if part := part_of(text.name):
            named.setdefault(part, []).append(text)
    if "train" in named:
        return named
    return {"all": texts} if len(texts) == len(entries) == 1 else {}


def _listed(paths: list[Path], most: int = 8) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(path.name for path in paths[:most]) + more


# --- files ----------------------------------------------------------------------------------------------------------


def _read_split(
    files: list[Path], root: Path, form: _Form, labels: Mapping[Path, str]
) -> tuple[pa.Table, Sequence[str]]:
    """Read the files of one split and join them; return notes."""
    kinds = sorted({_suffix(file) or file.suffix.lower() for file in files})
    if len(kinds) > 1:
        raise DataError(
            f"{_listed(files)} would form one split, but they have different formats ({', '.join(kinds)}).",
            "Keep the files of one format, or give one file.",
            id="data.mixed-formats",
        )
    if all(file in labels for file in files):
        return _read_classes(files, root, form.encoding, labels), ()
    read = [_read_file(file, root, form) for file in files]
    # JSON may leave keys out; a table has all its columns
    return _joined(list(map(str, files)), read, alike="json" not in kinds[0])


def _sheets_of_parts(splits: Mapping[str, Sequence[Path]], form: _Form) -> Mapping[str, Sequence[str]]:
    """Return part → the sheets of a workbook that are named like it; empty for anything but such a workbook."""
    files = splits.get("all", ())
    if len(files) != 1 or form.sheet is not None or _suffix(files[0]) not in workbook_reader.SUFFIXES:
        return {}
    return by_part(workbook_reader.sheets(files[0]))


def _read_sheets(
    file: Path, root: Path, form: _Form, sheets: Mapping[str, Sequence[str]]
) -> dict[str, tuple[pa.Table, Sequence[str]]]:
    """Read the sheets of a workbook that are the parts of a data set; return notes with each."""
    read = {}
    for part, names in sheets.items():
        tables = [_read_file(file, root, replace(form, sheet=name), f", sheet {name}") for name in names]
        read[part] = _joined([f"{file}, sheet {name}" for name in names], tables, alike=True)
    used = list(chain.from_iterable(sheets.values()))
    others = [f"`{name}`" for name in workbook_reader.sheets(file) if name not in used]
    note = f"The sheets {', '.join(f'`{name}`' for name in used)} of {file.name} are read as the parts that they name"
    note += f"; {', '.join(others)} {'is' if len(others) == 1 else 'are'} ignored." if others else "."
    first = next(iter(read))
    return {**read, first: (read[first][0], [note, *read[first][1]])}


def _joined(
    names: Sequence[str], read: Sequence[tuple[pa.Table, Sequence[str]]], *, alike: bool
) -> tuple[pa.Table, Sequence[str]]:
    """Join the tables of one split, each with notes; where they must be alike, they have the same columns."""
    tables, notes = zip(*read, strict=True)
    for name, table in zip(names, tables, strict=True):
        if alike and (odd := set(table.column_names) ^ set(tables[0].column_names)):
            raise DataError(
                f"{name} and {names[0]} form one split, but `{min(odd)}` is a column of only one of them.",
                "Give both the same columns, or give one file.",
                id="data.column-missing",
            )
    try:
        joined = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"{_listed(list(map(Path, names)))} form one split, but the types of a column differ ({error}).",
            "Give the column the same type in every file, or give one file.",
            id="data.mixed-types",
        ) from None
    ordered = [name for name in joined.column_names if name not in ADDED] + list(ADDED)
    return joined.select(ordered), list(chain.from_iterable(notes))


def _read_file(file: Path, root: Path, form: _Form, part: str = "") -> tuple[pa.Table, Sequence[str]]:
    """Read a file; `part` is what of it is read, as it is appended to its name."""
    suffix = _suffix(file)
    if not suffix:
        raise DataError(
            f"{file} has an unknown format: its name ends in {file.suffix or 'no extension'}.",
            advice_for(file) or f"Save it as one of {KNOWN}; a spreadsheet program can save CSV.",
            id="data.unknown-format",
        )
    if file.stat().st_size == 0:
        raise DataError(
            f"{file} is empty (0 bytes).", "Write or download it again, or give another file.", id="data.no-rows"
        )
    database_files.check_query(file, form.query)
    notes: Sequence[str] = ()
    if suffix in arrow_files.SUFFIXES:
        table, rows = _read_arrow(file)
    elif suffix in database_files.SUFFIXES:
        table = database_files.read(file, form.query)
        rows = pa.array(np.arange(1, table.num_rows + 1))
    elif suffix in workbook_reader.SUFFIXES:
        table, rows, notes = workbook_reader.read(file, form.sheet, form.names)
    elif suffix.startswith(CSV_SUFFIXES):
        table, rows, notes = read_csv(file, form.encoding, form.delimiter, form.names)
    elif suffix in LINES:
        table, rows, notes = read_lines(file, form.encoding, form.delimiter, form.names)
    else:
        table, rows = read_json(file, form.encoding)
    if not table.num_rows or not table.num_columns:
        raise DataError(
            f"{file}{part} holds no rows of data.",
            "Check that it was written completely, or give another file.",
            id="data.no-rows",
        )
    name = in_utf8(file.relative_to(root).as_posix() if root.is_dir() else file.name)
    return with_positions(table, name + part.replace("/", " "), rows), notes


def with_positions(table: pa.Table, name: str, rows: pa.Array) -> pa.Table:
    """Add the origin of each row: the name of its file, in UTF-8, and its place in the file."""
    # A dictionary encoding stores the name once, not once per row.
    names = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), len(rows)), pa.array([name]))
    return table.append_column(ADDED[0], names).append_column(ADDED[1], rows)


def in_utf8(name: str) -> str:
    """Return a file name as UTF-8 text for Arrow, also where Python could not decode it in the locale's encoding."""
    return os.fsencode(name).decode("utf-8", "replace")


def _read_arrow(file: Path) -> tuple[pa.Table, pa.Array]:
    """Read a Parquet or Arrow file and number its records from 1."""
    saved = file.parent if (file.parent / arrow_files.STATE).is_file() else None
    table = arrow_files.named(arrow_files.read(file), file, saved)
    return table, pa.array(np.arange(1, table.num_rows + 1))


def _read_classes(files: list[Path], root: Path, encoding: str | None, labels: Mapping[Path, str]) -> pa.Table:
    """Read one text per file; the folder that holds the file is its label."""
    names = pa.array([in_utf8(file.relative_to(root).as_posix()) for file in files])
    columns = {
        "text": pa.array([read_text(file, encoding) for file in files], pa.string()),
        "label": pa.array([labels[file] for file in files], pa.string()),
        ADDED[0]: names.dictionary_encode(),
        ADDED[1]: pa.repeat(pa.scalar(1, pa.int64()), len(files)),
    }
    return pa.table(columns)
