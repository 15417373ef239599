"""Rows of a file one by one, in bounded memory; a row that cannot be read is marked, and reading continues.

lines of text (standard input)       {"text": line}
.txt (and .gz)                       the same; with tabs or fastText's labels in every line, see `text_lines`
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

import csv
import itertools
import json
import queue
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.config import normal_form as written_
from toolkit.data.bitext import gettext_catalogue
from toolkit.data.formats import (
    annotation_exports,
    arrow_files,
    conll,
    csv_files,
    database_files,
    json_rows,
    text_decoding,
)
from toolkit.data.formats.spreadsheets import workbook_reader
from toolkit.data.formats.text_decoding import open_text
from toolkit.data.formats.text_lines import find_layout
from toolkit.data.sources.csv_dialect import Dialect, find_dialect
from toolkit.data.sources.folders import files
from toolkit.data.sources.local_files import CSV_SUFFIXES, in_utf8
from toolkit.data.sources.other_formats import advice_for
from toolkit.data.sources.zip_archives import unpacked
from toolkit.errors import DataError, SourceError

STANDARD_INPUT = "-"
UNREAD = "unread"  # key of a line without columns
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
_SAMPLE = 1000  # lines that determine the layout
_UNDECODED = re.compile("[\udc80-\udcff]")  # a byte, as "surrogateescape" reads it


@dataclass(frozen=True)
class Row:
    """A row of the input.

    Attributes:
        values: Column → value; of an invalid row the readable ones.
        problem: Why it cannot be read; None for a valid one.
    """

    values: dict[str, Any]
    problem: str | None = None


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
    """
    if source == STANDARD_INPUT:
        # a reader of its own: Python aborts when it ends while a thread waits for a line of `sys.stdin`
        name = encoding or "utf-8"
        with open(sys.stdin.fileno(), encoding=name, errors="surrogateescape", newline="\n", closefd=False) as lines:
            yield from _lines(lines)
        return
    delimiter = csv_files.check_delimiter(delimiter)
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
        yield from (Row(_normal(values)) for values in database_files.rows(path, query))
    elif kind in workbook_reader.SUFFIXES:
        yield from (Row(_normal(values)) for values in workbook_reader.rows(path, sheet, names))
    elif kind == ".po":
        yield from (Row({"text": message}) for message in gettext_catalogue.messages(path, everything=everything))
    else:
        labelled = kind == ".txt" and path.stat().st_size > 0 and conll.looks_like(path, encoding)
        with open_text(path, encoding, "surrogateescape") as stream:
            if kind in conll.SUFFIXES or labelled:
                yield from map(_sentence, conll.stream(path, text_decoding.whole_lines(stream, path)))
            elif kind == ".txt":
                yield from _text(path, stream, delimiter, names)
            elif kind in CSV_SUFFIXES:
                yield from _csv(path, stream, delimiter, names)
            else:
                yield from _json(path, stream)


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


def _lines(stream: text_decoding.Readable) -> Iterator[Row]:
    for number, line in enumerate(text_decoding.lines(stream), 1):
        text = line.removeprefix("\ufeff") if number == 1 else line
        yield _decoded({"text": text.rstrip("\r\n")}, _too_long(number, line))


def _too_long(number: int, line: str) -> str | None:
    return f"line {number}: {text_decoding.too_long('line')}" if len(line) > text_decoding.MAX_LINE else None


def _text(path: Path, stream: text_decoding.Readable, delimiter: str | None, names: Sequence[str]) -> Iterator[Row]:
    """Yield the lines of a text, each a text, or split into columns where all of the first lines have them."""
    lines = text_decoding.lines(stream)
    head = list(itertools.islice(lines, _SAMPLE))
    head[:1] = [line.removeprefix("\ufeff") for line in head[:1]]
    layout = find_layout([line.rstrip("\r\n") for line in head], delimiter, names, str(path))
    bare = layout.names == ("text",)
    skip = layout.header
    for number, line in enumerate(itertools.chain(head, lines), 1):
        text = line.rstrip("\r\n")
        if not bare and not text.strip():
            continue
        if skip:
            skip = False
            continue
        values = (text,) if bare else layout.values(text)
        if values is None:
            problem = f"line {number}: not the {len(layout.names)} columns of the first line"
            yield _decoded(dict(itertools.zip_longest(layout.names, [text])), problem)
        else:
            texts = [" ".join(value) if isinstance(value, list) else value for value in values]  # fastText's labels
            yield _decoded(dict(zip(layout.names, texts, strict=True)), _too_long(number, line))


def _sentence(values: dict[str, list[str]]) -> Row:
    """Return a row of words; bytes that are not text become its problem."""
    readable = _decoded({"words": " ".join(values["words"])}).problem
    return Row({name: [_UNDECODED.sub("\ufffd", word) for word in words] for name, words in values.items()}, readable)


def _decoded(values: dict[str, Any], problem: str | None = None) -> Row:
    """Return a row of texts; bytes that are not text become its problem, with placeholders."""
    wrong = next((match for value in values.values() if value and (match := _UNDECODED.search(value))), None)
    if wrong is None:
        return Row(values, problem)
    shown = {name: value and _UNDECODED.sub("\ufffd", value) for name, value in values.items()}
    byte = f"the byte 0x{ord(wrong[0]) - 0xDC00:02x} does not decode: give another encoding with --set data.encoding=…"
    return Row(shown, problem or byte)


def _csv(path: Path, stream: text_decoding.Readable, delimiter: str | None, given: Sequence[str]) -> Iterator[Row]:
    lines = text_decoding.lines(stream)
    begin = csv_files.opening(lines, path, delimiter)
    written: list[str] = []  # the lines of one row

    def kept() -> Iterator[str]:
        for line in csv_files.csv_lines(itertools.chain([begin.header], lines)):
            written.append(line)
            yield line

    with csv_files.field_limit(csv_files.MAX_FIELD):
        counted = csv_files.Counted(kept())
        reader = csv.reader(counted, delimiter=begin.delimiter)
        names: list[str] | None = None
        end = begin.passed
        while True:
            written.clear()
            counted.row = 0
            problem = None
            try:
                fields = csv_files.returned(next(reader))
            except StopIteration:
                return
            except csv.Error as error:
                fields = []
                problem = "a field is longer than the limit; is a quote open?" if "limit" in str(error) else str(error)
            start, end = end + 1, begin.passed + reader.line_num
            if names is None:
                if problem is not None:
                    raise DataError(
                        f"{path}:{start}: {problem}", "The first line must name the columns.", id="data.broken-quotes"
                    )
                names = csv_files.header_names(fields, given, str(path))
                if not given or fields == names:
                    continue
            cut = any(len(line) > text_decoding.MAX_LINE for line in written)
            matching = problem is not None or cut or end == start or _quotes_match(written, begin.delimiter)
            if problem is not None or cut:
                row = dict(itertools.zip_longest(names, fields[: len(names)]))
                yield _decoded(row, f"line {start}: {problem or text_decoding.too_long('line')}")
            elif not matching:
                problem = f"line {start}: its quotes do not match, so the row ends at line {end}"
                yield _decoded(dict(itertools.zip_longest(names, fields[: len(names)])), problem)
            elif len(fields) == len(names):
                yield _decoded(dict(zip(names, fields, strict=True)))
            elif fields and not (len(fields) == 1 and not fields[0].strip()):
                head, rest = fields[: len(names) - 1], fields[len(names) - 1 :]
                last = [begin.delimiter.join(rest)] if rest else []
                values = dict(zip(names, [*head, *last], strict=False))
                counted_fields = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
                problem = f"line {start}: {counted_fields} where the header has {len(names)}"
                yield _decoded({name: values.get(name) for name in names}, problem)


def _quotes_match(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the quotes of a row of several lines match; the csv module accepts others."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True


def _json(path: Path, stream: Any) -> Iterator[Row]:
    source = json_rows.Source(stream)
    if source.is_list:
        yield from (Row(_normal(value)) for _, value in json_rows.list_items(path, source))
        return
    for number, line in enumerate(text_decoding.lines(source), source.line):
        text = line.strip()
        if not text:
            continue
        raw = _decoded({UNREAD: text}, _too_long(number, line))
        if raw.problem is not None:
            problem = raw.problem if raw.problem.startswith("line ") else f"line {number}: {raw.problem}"
            yield Row(raw.values, problem)
            continue
        try:
            value = json_rows.parse(text)
        except json.JSONDecodeError as error:
            yield Row(
                raw.values, f"line {number}: not JSON: {error.msg.removesuffix(' at')} at character {error.colno}"
            )
            continue
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand nested lists
            yield Row(raw.values, f"line {number}: not readable JSON: {error}")
            continue
        yield (
            Row(_normal(annotation_exports.row(value)))
            if isinstance(value, dict)
            else Row(raw.values, f"line {number}: not an object with keys")
        )


def _normal(values: dict[str, Any]) -> dict[str, Any]:
    return {written_.normal(name): value for name, value in values.items()}


def _arrow(path: Path) -> Iterator[Row]:
    for batch in arrow_files.batches(path):
        yield from (Row(_normal(values)) for values in batch.to_pylist())
