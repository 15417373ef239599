"""The rows of texts: lines, columns, CSV and JSON; a row that cannot be read is marked, and reading continues."""

import csv
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.config import normal_form as written_
from toolkit.data.formats import annotation_exports, csv_files, json_rows, text_decoding
from toolkit.data.formats.text_lines import find_layout
from toolkit.errors import DataError

UNREAD = "unread"  # key of a line without columns
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

    @property
    def names(self) -> list[str]:
        """The names of its values; those inside objects as "review.author.name"."""
        return list(_inner_names(self.values))

    def value(self, name: str) -> Any:
        """Return a value by its name, also one inside objects; None where there is none."""
        return _inner_value(self.values, name)


def _inner_value(values: Mapping[str, Any], name: str) -> Any:
    if name in values:
        return values[name]
    outer = (key for key, value in values.items() if isinstance(value, Mapping) and name.startswith(f"{key}."))
    found = (_inner_value(values[key], name[len(key) + 1 :]) for key in outer)
    return next((value for value in found if value is not None), None)


def _inner_names(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in _inner_names(value))
        else:
            yield name


def lines(stream: text_decoding.Readable) -> Iterator[Row]:
    """Yield each line as a text."""
    for number, line in enumerate(text_decoding.lines(stream), 1):
        text = line.removeprefix("\ufeff") if number == 1 else line
        yield _decoded({"text": text.rstrip("\r\n")}, _too_long(number, line))


def _too_long(number: int, line: str) -> str | None:
    return f"line {number}: {text_decoding.too_long('line')}" if len(line) > text_decoding.MAX_LINE else None


def text(path: Path, stream: text_decoding.Readable, delimiter: str | None, names: Sequence[str]) -> Iterator[Row]:
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


def sentence(values: dict[str, list[str]]) -> Row:
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


def csv_rows(path: Path, stream: text_decoding.Readable, delimiter: str | None, given: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of CSV, with the names of its header."""
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
        below = False  # whether this is the first row below the header
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
                    below = not given
                    continue
            if below and problem is None and csv_files.ends_empty(fields, names):
                names = csv_files.header_names([*names, *[""] * (len(fields) - len(names))], (), str(path))
            below = False
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


def json_objects(path: Path, stream: Any) -> Iterator[Row]:
    """Yield the objects of JSON Lines, or of one list."""
    source = json_rows.Source(stream)
    if source.is_list:
        yield from (Row(normal(value)) for _, value in json_rows.list_items(path, source))
        return
    yield from json_lines(text_decoding.lines(source), source.line)


def json_lines(lines: Iterator[str], first: int) -> Iterator[Row]:
    """Yield the objects of JSON Lines, of which the first line has the given number."""
    for number, line in enumerate(lines, first):
        text = line.removeprefix("\ufeff").strip()
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
            Row(normal(annotation_exports.row(value)))
            if isinstance(value, dict)
            else Row(raw.values, f"line {number}: not an object with keys")
        )


def normal(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with the names of their columns in normal form."""
    return {written_.normal(name): value for name, value in values.items()}
