"""Rows of a file one by one, in bounded memory; a row that cannot be read is said to be bad and the rest goes on.

lines of text (.txt, standard input)   {"text": line}
.csv, .tsv, .jsonl, .ndjson (and .gz)  as they stand; {"unread": line} of a line that is no JSON object
.po                                    {"text": message} of each message without a translation
.parquet                               in batches of rows
a folder                               {"file": name} for each file in it, however deep
"""

import csv
import itertools
import json
import queue
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.data import catalogue
from toolkit.data.decode import open_text
from toolkit.data.picture_folders import files
from toolkit.data.read import in_utf8
from toolkit.data.text_formats import MAX_FIELD, clean_names, csv_lines, field_limit, find_delimiter, returned
from toolkit.errors import DataError, SourceError
from toolkit.runs import open_for_arrow

STANDARD_INPUT = "-"
UNREAD = "unread"  # where a line is kept that has no columns
SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".po")
_UNDECODED = re.compile("[\udc80-\udcff]")  # a byte, as "surrogateescape" reads it


@dataclass(frozen=True)
class Row:
    """A row of the input.

    Attributes:
        values: Column → value; of a bad row what could be read.
        problem: What is wrong with it; None for a good one.
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
        raise SourceError(f"There is no file {source}.", "Check the path; `--input -` reads standard input.")
    if _kind(path) not in SUFFIXES:
        raise DataError(
            f"{source} is of no format that is read row by row.",
            f"Give one that ends in {', '.join(SUFFIXES)} (text also with .gz); write a JSON list as .jsonl, "
            "and of pictures name the folder.",
        )


def rows(
    source: str, *, encoding: str | None = None, delimiter: str | None = None, everything: bool = False
) -> Iterator[Row]:
    """Yield the rows of a file, or of standard input, in their order.

    Args:
        source: The file, or "-".
        encoding: Of a text file.
        delimiter: Of the columns of CSV.
        everything: Of a catalogue also the messages that are translated already.
    """
    if source == STANDARD_INPUT:
        # a reader of its own: Python aborts when it ends while a thread waits for a line of `sys.stdin`
        name = encoding or "utf-8"
        with open(sys.stdin.fileno(), encoding=name, errors="surrogateescape", newline="\n", closefd=False) as lines:
            yield from _lines(lines)
        return
    path = Path(source)
    if path.is_dir():
        yield from (Row({"file": in_utf8(file.relative_to(path).as_posix())}) for file in files(path))
        return
    kind = _kind(path)
    if kind == ".parquet":
        yield from _parquet(path)
        return
    if kind == ".po":
        yield from (Row({"text": message}) for message in catalogue.messages(path, everything=everything))
        return
    with open_text(path, encoding, "surrogateescape") as stream:
        if kind == ".txt":
            yield from _lines(stream)
        elif kind in (".csv", ".tsv"):
            yield from _csv(path, stream, delimiter or ("\t" if kind == ".tsv" else None))
        else:
            yield from _json_lines(stream)


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
        except BaseException as error:  # raised where the rows are wanted
            arrived.put(error)

    threading.Thread(target=read, daemon=True).start()
    ended = False
    while not ended:
        taken, one = [], arrived.get()
        while isinstance(one, Row):
            taken.append(one)
            if len(taken) == most or arrived.empty():
                break
            one = arrived.get()
        if taken:
            yield taken
        if isinstance(one, BaseException):
            raise one
        ended = one is None


def _kind(path: Path) -> str:
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _lines(stream: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(stream):
        text = line.removeprefix("\ufeff") if not number else line
        yield _decoded({"text": text.rstrip("\r\n")})


def _decoded(values: dict[str, Any], problem: str | None = None) -> Row:
    """Return a row of texts; where bytes of it are no text, that is its problem, and signs stand for them."""
    wrong = next((found for value in values.values() if value and (found := _UNDECODED.search(value))), None)
    if wrong is None:
        return Row(values, problem)
    shown = {name: value and _UNDECODED.sub("\ufffd", value) for name, value in values.items()}
    byte = f"the byte 0x{ord(wrong[0]) - 0xDC00:02x} does not decode: --set data.encoding=… names another encoding"
    return Row(shown, problem or byte)


def _csv(path: Path, stream: Iterable[str], delimiter: str | None) -> Iterator[Row]:
    blank, header = 0, ""
    lines = iter(stream)
    for header in lines:
        if header.strip("\ufeff\r\n\t "):
            break
        blank += 1
    header = header.removeprefix("\ufeff")
    written: list[str] = []  # the lines of one row

    def kept() -> Iterator[str]:
        for line in csv_lines(itertools.chain([header], lines)):
            written.append(line)
            yield line

    with field_limit(MAX_FIELD):
        reader = csv.reader(kept(), delimiter=delimiter or find_delimiter(header))
        names = clean_names(returned(next(reader, [])), str(path))
        end = blank + reader.line_num
        written.clear()
        for fields in map(returned, reader):
            start, end = end + 1, blank + reader.line_num
            matching = end == start or _quotes_match(written, reader.dialect.delimiter)
            written.clear()
            if not matching:
                problem = f"line {start}: its quotes do not match, so that the row ends with line {end}"
                yield _decoded(dict(itertools.zip_longest(names, fields[: len(names)])), problem)
            elif len(fields) == len(names):
                yield _decoded(dict(zip(names, fields, strict=True)))
            elif fields and not (len(fields) == 1 and not fields[0].strip()):
                head, rest = fields[: len(names) - 1], fields[len(names) - 1 :]
                last = [reader.dialect.delimiter.join(rest)] if rest else []
                known = dict(zip(names, [*head, *last], strict=False))
                counted = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
                problem = f"line {start}: {counted} where the header has {len(names)}"
                yield _decoded({name: known.get(name) for name in names}, problem)


def _quotes_match(lines: Sequence[str], delimiter: str) -> bool:
    """Whether the quotes of a row of several lines match; the reader puts up with what does not."""
    try:
        list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True


def _json_lines(stream: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(stream, 1):
        text = (line.removeprefix("\ufeff") if number == 1 else line).strip()
        if not text:
            continue
        raw = _decoded({UNREAD: text})
        if raw.problem is not None:
            yield Row(raw.values, f"line {number}: {raw.problem}")
            continue
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            yield Row(
                raw.values, f"line {number}: not JSON: {error.msg.removesuffix(' at')} at character {error.colno}"
            )
            continue
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand nested lists
            yield Row(raw.values, f"line {number}: not JSON that can be read: {error}")
            continue
        yield Row(value) if isinstance(value, dict) else Row(raw.values, f"line {number}: no object with keys")


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    from pyarrow import parquet

    with open_for_arrow(path) as stream:
        try:
            for batch in parquet.ParquetFile(stream).iter_batches(batch_size=1024):
                yield from (Row(values) for values in batch.to_pylist())
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{path} cannot be read as Parquet: it is cut short, damaged or of another format ({error}).",
                "Download or write it again.",
            ) from None
