"""Rows of a file one by one, in bounded memory; a row that cannot be read is marked, and reading continues.

standard input                       JSON Lines or CSV by its first line, see `_piped`; else {"text": line}
.txt (and .gz)                       {"text": line}; with tabs or fastText's labels in every line, see `text_lines`
.csv, .tsv, .tab (and .gz)           unchanged
.jsonl, .ndjson, .json (and .gz)     unchanged; {"unread": line} of a line that is not a JSON object
.conll, .iob, .bio and the like       {"words": …, "labels": …} of each sentence; also .txt of this form
.po                                  {"text": message} of each message without a translation
.parquet, .arrow, .feather           in batches of rows; also a folder that `save_to_disk` wrote
.xlsx, .xlsm                         a sheet
.sqlite, .db, .duckdb and the like   the rows of a query
a folder                             {"file": name} for each file in it, however deep
.zip                                 the table in it, or else each file
"""

import itertools
import queue
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from toolkit.data.bitext import gettext_catalogue
from toolkit.data.formats import (
    arrow_files,
    conll,
    csv_files,
    database_files,
    json_rows,
    text_decoding,
)
from toolkit.data.formats.spreadsheets import workbook_reader
from toolkit.data.formats.text_decoding import open_text
from toolkit.data.sources import row_formats
from toolkit.data.sources.csv_dialect import Dialect, find_dialect
from toolkit.data.sources.folders import files
from toolkit.data.sources.local_files import CSV_SUFFIXES, in_utf8
from toolkit.data.sources.other_formats import advice_for
from toolkit.data.sources.row_formats import Row
from toolkit.data.sources.zip_archives import unpacked
from toolkit.errors import DataError, SourceError

STANDARD_INPUT = "-"
_JSON = (".jsonl", ".ndjson", ".json")
SUFFIXES = (
    ".txt",
    *CSV_SUFFIXES,
    *_JSON,
    *arrow_files.SUFFIXES,
    *workbook_reader.SUFFIXES,
    *database_files.SUFFIXES,
    *conll.SUFFIXES,
    ".po",
    ".zip",
)
_CHUNK_BYTES = 2**27
_HEADER = 10_000  # characters of the longest header that is recognised on standard input


def check_input(source: str) -> None:
    """Refuse what cannot be streamed.

    Raises:
        SourceError: There is no such file.
        DataError: It is of another format.
    """
    if source == STANDARD_INPUT:
        return
    path = Path(source)
    if path.is_dir():
        return
    if not path.is_file():
        raise SourceError(
            f"There is no file {source}.", "Check the path; `--input -` reads standard input.", id="source.file-missing"
        )
    if _kind(path) not in SUFFIXES:
        raise DataError(
            f"{source} has a format that cannot be read row by row.",
            advice_for(path) or f"Give a file that ends in {', '.join(SUFFIXES)} (text also with .gz), or a folder.",
            id="data.unknown-format",
        )


def rows(
    source: str,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    names: Sequence[str] = (),
    sheet: str | None = None,
    query: str | None = None,
    everything: bool = False,
    known: Collection[str] = (),
) -> Iterator[Row]:
    """Yield the rows of a file, or of standard input, in their order.

    Args:
        source: The file, or "-".
        encoding: Of a text file.
        delimiter: Of the columns of CSV.
        names: Of the columns of CSV, of a sheet and of text, where no line of it names them.
        sheet: Of a workbook; the first one when None.
        query: Of a database; all rows of its only table when None.
        everything: Of a catalogue also the messages that are translated already.
        known: Names of columns by which a header is recognised on standard input.
    """
    delimiter = csv_files.check_delimiter(delimiter)
    if source == STANDARD_INPUT:
        # a reader of its own: Python aborts when it ends while a thread waits for a line of `sys.stdin`
        name = encoding or "utf-8"
        with open(sys.stdin.fileno(), encoding=name, errors="surrogateescape", newline="\n", closefd=False) as lines:
            yield from _piped(text_decoding.Peeked(lines), delimiter, names, known)
        return
    path = table_in(Path(source))
    kind = _kind(path)
    database_files.check_query(path, query)
    if path.is_dir():
        saved = arrow_files.shards(path)
        if saved:
            yield from itertools.chain.from_iterable(map(_arrow, saved))
        else:
            yield from (Row({"file": in_utf8(file.relative_to(path).as_posix())}) for file in files(path))
    elif kind in arrow_files.SUFFIXES:
        yield from _arrow(path)
    elif kind in database_files.SUFFIXES:
        yield from (Row(row_formats.normal(values)) for values in database_files.rows(path, query))
    elif kind in workbook_reader.SUFFIXES:
        yield from (Row(row_formats.normal(values)) for values in workbook_reader.rows(path, sheet, names))
    elif kind == ".po":
        yield from (Row({"text": message}) for message in gettext_catalogue.messages(path, everything=everything))
    else:
        labelled = kind == ".txt" and path.stat().st_size > 0 and conll.looks_like(path, encoding)
        with open_text(path, encoding, "surrogateescape") as stream:
            if kind in conll.SUFFIXES or labelled:
                yield from map(row_formats.sentence, conll.stream(path, text_decoding.whole_lines(stream, path)))
            elif kind == ".txt":
                yield from row_formats.text(path, stream, delimiter, names)
            elif kind in CSV_SUFFIXES:
                yield from row_formats.csv_rows(path, stream, delimiter, names)
            else:
                yield from row_formats.json_objects(path, stream)


def remarks(source: str, sheet: str | None = None) -> list[str]:
    """Return notes on what of a workbook is assumed or passed over; none on another source."""
    path = Path(source) if source == STANDARD_INPUT else table_in(Path(source))
    workbook = path.is_file() and _kind(path) in workbook_reader.SUFFIXES
    return workbook_reader.remarks(path, sheet) if workbook else []


def dialect(source: str, encoding: str | None, delimiter: str | None) -> Dialect | None:
    """Return how the rows are written, if the source is CSV."""
    if source == STANDARD_INPUT:
        return None
    path = table_in(Path(source))
    if path.is_dir() or _kind(path) not in CSV_SUFFIXES:
        return None
    return find_dialect(path, encoding, delimiter)


def table_in(path: Path) -> Path:
    """Return the content of a .zip: its only table, or the folder of its files; any other path unchanged."""
    folder = unpacked(path)
    inside = list(itertools.islice(files(folder), 2)) if folder != path else []
    return inside[0] if len(inside) == 1 and _kind(inside[0]) in SUFFIXES else folder


def in_chunks(rows: Iterator[Row], most: int) -> Iterator[list[Row]]:
    """Yield up to `most` rows at a time, and fewer where these are large."""
    chunk: list[Row] = []
    held = 0  # bytes
    for row in rows:
        chunk.append(row)
        held += _held(row.values)
        if len(chunk) == most or held >= _CHUNK_BYTES:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _held(value: Any) -> int:
    """Return about how many bytes a value takes."""
    if isinstance(value, str | bytes):
        return 50 + len(value)
    if isinstance(value, dict):
        return 50 + sum(map(_held, value.values()))
    return 50 + sum(map(_held, value)) if isinstance(value, list) else 30


def as_they_come(rows: Iterator[Row], most: int) -> Iterator[list[Row]]:
    """Yield the rows that have arrived, one or more at a time, without waiting for those that have not.

    A thread reads ahead, by `most` rows and no further.

    Args:
        rows: Rows, from a source that may be slow.
        most: Rows in one list.
    """
    arrived: queue.Queue[Row | BaseException | None] = queue.Queue(most)

    def read() -> None:
        try:
            for row in rows:
                arrived.put(row)
            arrived.put(None)
        except BaseException as error:  # raised again by the consumer
            arrived.put(error)

    threading.Thread(target=read, daemon=True).start()
    ended = False
    while not ended:
        taken, item = [], arrived.get()
        while isinstance(item, Row):
            taken.append(item)
            if len(taken) == most or arrived.empty():
                break
            item = arrived.get()
        if taken:
            yield taken
        if isinstance(item, BaseException):
            raise item
        ended = item is None


def _kind(path: Path) -> str:
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _piped(
    stream: text_decoding.Peeked, delimiter: str | None, names: Sequence[str], known: Collection[str]
) -> Iterator[Row]:
    """Yield the rows of standard input, of whose format only the first line tells.

    A JSON object is the first of JSON Lines. A line is the header of CSV if the user named a delimiter or the columns,
    or if one of several fields is a column that the model reads. Anything else is text.
    """
    first = stream.first.removeprefix("\ufeff").strip()
    fields = csv_files.split_header(first) if len(first) <= _HEADER else []
    if json_rows.is_object(first):
        yield from row_formats.json_lines(text_decoding.lines(stream), 1)
    elif delimiter or len(names) > 1 or (len(fields) > 1 and not set(known).isdisjoint(fields)):
        yield from row_formats.csv_rows(Path("standard input"), stream, delimiter, names)
    else:
        yield from row_formats.lines(stream)


def _arrow(path: Path) -> Iterator[Row]:
    for batch in arrow_files.batches(path):
        yield from (Row(row_formats.normal(values)) for values in batch.to_pylist())
