"""Files of words with labels: CoNLL, and texts with marked entities.

train.conll, dev.conll      see `formats/conll.py`; any text file that looks like it, such as train.txt
data.jsonl                  see `formats/marked_entities.py`
train.spacy                 documents of spaCy, where that is installed
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.data.formats import conll, json_rows, marked_entities
from toolkit.data.formats.csv_files import ADDED
from toolkit.data.formats.text_decoding import open_text
from toolkit.data.sources import local_files
from toolkit.data.sources.folders import visible
from toolkit.data.sources.part_names import part_of
from toolkit.errors import DataError
from toolkit.tasks.contract import Tables

_JSON = (".jsonl", ".ndjson", ".json")
_COLUMNS = (".txt", ".tsv", ".tab")  # also of other tables


def read(path: Path, encoding: str | None = None) -> Tables | None:
    """Read words and their labels into tables with the columns "words" and "labels".

    Args:
        path: A file or folder.
        encoding: Of text files.

    Returns:
        As `local_files.read`; None where no file is of a format that is read here.

    Raises:
        DataError: A file cannot be read.
    """
    parts: dict[str, list[Path]] = {"all": [path]} if path.is_file() else {}
    for entry in visible(path) if path.is_dir() else ():
        part = part_of(entry.name)
        if part is not None and entry.is_file():
            parts.setdefault(part, []).append(entry)
    if path.is_dir() and not parts:
        parts = {"all": [entry for entry in visible(path) if entry.is_file()]}
        parts = parts if len(parts["all"]) == 1 else {}
    formats = {file: _format(file, encoding) for files in parts.values() for file in files}
    if not any(formats.values()):
        return None
    other = next((file for file, kind in formats.items() if kind is None), None)
    if other is not None:
        raise DataError(
            f"{other} has another format than the other files of {path}.",
            "Keep the files of one format, or give one file.",
            id="data.mixed-formats",
        )
    tables, notes = {}, list[str]()
    for part, files in parts.items():
        made = [_read(file, str(formats[file]), path, encoding) for file in files]
        tables[part] = pa.concat_tables([table for table, _ in made])
        notes += [note for _, remarks in made for note in remarks]
    return Tables(tables, notes)


def _format(file: Path, encoding: str | None) -> str | None:
    """Return the format of a file: "conll", "marked" or "spacy"; None for another."""
    suffix = Path(file.name.lower().removesuffix(".gz")).suffix
    if suffix == ".spacy":
        return "spacy"
    if suffix in conll.SUFFIXES:
        return "conll"
    if suffix in _JSON:
        with open_text(file, encoding, "surrogateescape") as stream:
            first = next(_objects(file, stream)[0], None)
        return "marked" if first is not None and marked_entities.key_of(first[1]) is not None else None
    table = suffix in (*local_files.SUFFIXES, ".zip") and suffix not in _COLUMNS
    return "conll" if not table and file.stat().st_size and conll.looks_like(file, encoding) else None


def _objects(file: Path, stream: Any) -> tuple[Iterator[tuple[int, Mapping[str, Any]]], str]:
    """Return the numbered objects of a file, and what the numbers count."""
    source = json_rows.Source(stream)
    if source.is_list:
        return json_rows.list_items(file, source, marked_entities.of_pair), "item"
    return json_rows.line_objects(file, source), "line"


def _read(file: Path, kind: str, root: Path, encoding: str | None) -> tuple[pa.Table, Sequence[str]]:
    notes: Sequence[str] = ()
    if kind == "conll":
        table, numbers = conll.read(file, encoding)
    elif kind == "spacy":
        table, numbers = marked_entities.read_docbin(file)
    else:
        with open_text(file, encoding) as stream:
            objects, unit = _objects(file, stream)
            table, numbers, notes = marked_entities.table(objects, file, unit)
    name = local_files.in_utf8(file.relative_to(root).as_posix() if root.is_dir() else file.name)
    names = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), len(numbers)), pa.array([name]))
    return table.append_column(ADDED[0], names).append_column(ADDED[1], numbers), notes
