"""CSV and JSON files as Arrow tables, with the line on which every row starts.

Rows become Arrow a chunk at a time, so that memory stays near the size of the data; every error names file and line.
CSV values stay as they are written: "01" and "NA" are text. JSON values keep their types.
"""

import csv
import itertools
import json
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.data.decode import open_text
from toolkit.errors import DataError

MAX_FIELD = 16 * 2**20  # characters; a longer field is nearly always a quote that was never closed
CHUNK = 10_000  # rows that exist as Python objects at one time
DELIMITERS = ",;\t|"
ADDED = ("_file", "_row")
_RETURN = "\udc0d"  # stands for a carriage return inside a line; no decoder makes this character

_JSON_FIX = 'Write one object per line, such as {"text": "…", "label": "…"}, or the whole file as one list of objects.'
_JSON_WORDS = {dict: "an object", list: "a list", str: "text", bool: "true/false", int: "a number", float: "a number"}


# --- names ----------------------------------------------------------------------------------------------------------


def clean_names(names: Sequence[str], where: str) -> list[str]:
    """Return the column names without white space and byte order mark around them.

    Raises:
        DataError: A name is empty (but for the first: the index that pandas writes), double, or taken by the toolkit.
    """
    clean = [name.strip().removeprefix("\ufeff").strip() for name in names]
    if clean and not clean[0]:
        clean[0] = "column_1"
    for position, name in enumerate(clean, 1):
        if not name:
            raise DataError(f"{where}: column {position} has no name.", "Name it in the header, or delete the column.")
        if not _encodes(name):
            raise DataError(f"{where}: the name of column {position} holds half a character.", "Rename the column.")
        if name in clean[: position - 1]:
            raise DataError(f"{where}: two columns are named `{name}`.", "Rename one of them in the header.")
        if name in ADDED:
            raise DataError(
                f"{where}: a column is named `{name}`, which the toolkit adds itself to find rows again.",
                "Rename or delete that column.",
            )
    return clean


# --- CSV ------------------------------------------------------------------------------------------------------------


def read_csv(path: Path, encoding: str | None, delimiter: str | None) -> tuple[pa.Table, pa.Array]:
    """Read a CSV or TSV file; every value stays text.

    Returns:
        The table and, for each of its rows, the 1-based line on which the row starts.

    Raises:
        DataError: With the line, if a row has the wrong number of fields or quotes that do not close.
    """
    with open_text(path, encoding) as stream, field_limit(MAX_FIELD):
        blank = 0
        header = ""
        for header in stream:
            if header.strip("\ufeff\r\n\t "):
                break
            blank += 1
        header = header.removeprefix("\ufeff")
        if not delimiter:
            delimiter = "\t" if ".tsv" in [suffix.lower() for suffix in path.suffixes] else find_delimiter(header)
        elif delimiter not in header and find_delimiter(header) in header:
            raise DataError(
                f"{path}: {_shown(delimiter)}, which was given as the delimiter, is not in the header; "
                f"{_shown(find_delimiter(header))} is.",
                "Leave data.delimiter out: it is found by itself.",
            )
        reader = csv.reader(csv_lines(itertools.chain([header], stream)), delimiter=delimiter, strict=True)
        end = blank  # the last line of the row before
        names: list[str] | None = None
        chunks: list[pa.Table] = []
        rows: list[list[str]] = []
        starts = array("q")
        try:
            for row in map(returned, reader):
                start, end = end + 1, blank + reader.line_num
                if names is None:
                    names = clean_names(row, f"{path}:{start}")
                elif len(row) == len(names):
                    rows.append(row)
                    starts.append(start)
                    if len(rows) == CHUNK:
                        chunks.append(_text_table(rows, names))
                        rows = []
                elif row and not (len(row) == 1 and row[0].isspace()):
                    raise _wrong_width(f"{path}:{start}", len(row), names, delimiter)
        except csv.Error as error:
            raise _broken_quotes(path, encoding, end + 1, blank + reader.line_num, delimiter, str(error)) from None
    chunks.append(_text_table(rows, names or []))
    return pa.concat_tables(chunks), pa.array(starts, pa.int64())


def csv_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines as the csv module has to see them: it would end a row at a carriage return inside a line."""
    for line in lines:
        text = line.rstrip("\r\n")
        yield text.replace("\r", _RETURN) + line[len(text) :] if "\r" in text else line


def returned(fields: list[str]) -> list[str]:
    """Return the fields of a row with the carriage returns that `csv_lines` took out."""
    return [field.replace(_RETURN, "\r") for field in fields]


@contextmanager
def field_limit(limit: int) -> Iterator[None]:
    """Set the csv module's limit, which belongs to the whole process, and give it back."""
    before = csv.field_size_limit(limit)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def find_delimiter(header: str) -> str:
    """Return the delimiter that splits the header into the most names; a comma if none does."""
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader(csv_lines([header]), delimiter=delimiter), [])))


def _text_table(rows: list[list[str]], names: list[str]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], names=names)


def _shown(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else f"`{delimiter}`"


def _wrong_width(where: str, found: int, names: list[str], delimiter: str) -> DataError:
    columns = "1 column" if len(names) == 1 else f"{len(names)} columns"
    fields = "1 field" if found == 1 else f"{found} fields"
    return DataError(
        f"{where}: this row has {fields}, but the header names {columns} ({', '.join(names[:8])}).",
        f"Put text that holds a {_shown(delimiter)} or a line break in double quotes. If {_shown(delimiter)} is not "
        "what separates the columns, name what does, such as --set data.delimiter=';'.",
    )


def _broken_quotes(path: Path, encoding: str | None, start: int, end: int, delimiter: str, reason: str) -> DataError:
    """Explain a row, from line `start` to line `end`, that the csv module could not split."""
    with open_text(path, encoding) as stream:
        row = "".join(itertools.islice(stream, start - 1, end)).removeprefix("\ufeff")
    # Whole fields, each with the delimiter behind it: the field that is left after them is the broken one.
    other = re.escape(delimiter)
    whole = re.match(rf'(?:(?:"[^"]*(?:""[^"]*)*"|[^"{other}][^{other}]*)?{other})*', row)
    line = start + row[: whole.end() if whole else 0].count("\n")
    fix = 'Close the quote. Inside quoted text write each quote twice, as in "she said ""yes"" twice".'
    if "limit" in reason:
        size = f"{MAX_FIELD / 2**20:g} Mi characters"
        return DataError(f"{path}:{line}: the field that starts here is longer than {size}; is a quote open?", fix)
    if "end of data" in reason:
        return DataError(f"{path}:{line}: the double quote that opens a field here is never closed.", fix)
    ends = "" if end == line else f" (it ends in line {end})"
    return DataError(f"{path}:{line}: the quoted field that starts here has text behind its closing quote{ends}.", fix)


# --- JSON -----------------------------------------------------------------------------------------------------------


def read_json(path: Path, encoding: str | None) -> tuple[pa.Table, pa.Array]:
    """Read JSON lines, or one list of objects; absent keys become null.

    A column of text and numbers (or true/false) becomes text throughout.

    Returns:
        The table and, for each of its rows, the 1-based line (of a list: the 1-based position in it).

    Raises:
        DataError: With the line, if it is not an object, or if a column mixes kinds that no type can hold.
    """
    kinds: dict[str, dict[type, int]] = {}  # column -> kind of value -> where it was first seen
    chunks: list[tuple[int, dict[str, pa.Array]]] = []
    starts = array("q")
    with open_text(path, encoding) as stream:
        unit, records = _records(path, stream)
        while batch := list(itertools.islice(records, CHUNK)):
            numbers, objects = zip(*batch, strict=True)
            starts.extend(numbers)
            columns = {}
            for name in dict.fromkeys(itertools.chain.from_iterable(objects)):
                places = dict(zip(numbers, (record.get(name) for record in objects), strict=True))
                columns[name] = _json_array(f"{path}: `{name}`", unit, places, kinds.setdefault(name, {}))
            chunks.append((len(objects), columns))
    names = clean_names(list(kinds), str(path))
    tables = []
    for size, columns in chunks:
        arrays = [_same_kind(columns.get(name, pa.nulls(size)), seen) for name, seen in kinds.items()]
        tables.append(pa.Table.from_arrays(arrays, names=names))
    try:
        table = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
    except pa.ArrowException as error:
        raise DataError(f"{path}: the values of a column do not fit one type ({error}).", _JSON_FIX) from None
    return table, pa.array(starts, pa.int64())


def _records(path: Path, stream: TextIOWrapper) -> tuple[str, Iterator[tuple[int, dict[str, Any]]]]:
    """Return the objects, each with its line; or with its position, if the file is one list."""
    numbered = ((number, line) for number, line in enumerate(stream, 1) if line.strip("\ufeff\r\n\t "))
    first, text = next(numbered, (1, ""))
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("["):
        items = _parse(path, first, text + stream.read())
        return "item", ((place, _object(f"{path}: item {place}", item)) for place, item in enumerate(items, 1))
    lines = itertools.chain([(first, text)] if text else [], numbered)
    return "line", (
        (number, _object(f"{path}:{number}", _parse(path, number, line.rstrip()))) for number, line in lines
    )


def _parse(path: Path, line: int, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}:{line + error.lineno - 1}"
        raise DataError(
            f"{where}: not JSON: {error.msg.removesuffix(' at')} at character {error.colno}.", _JSON_FIX
        ) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand nested lists
        raise DataError(f"{path}:{line}: not JSON that can be read: {error}.", _JSON_FIX) from None


def _object(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: an object was expected here, not {_JSON_WORDS.get(type(value), 'null')}.", _JSON_FIX)
    return value


def _json_array(what: str, unit: str, values: dict[int, Any], seen: dict[type, int]) -> pa.Array:
    """Turn one chunk of a column into an array, and note in `seen` which kinds of values came up where."""
    for place, value in values.items():
        if value is not None:
            seen.setdefault(type(value), place)
    nested = seen.keys() & {dict, list}
    if nested and len(seen) > 1:
        one = next(iter(nested))
        two = next(kind for kind in seen if kind is not one)
        raise DataError(
            f"{what} is {_JSON_WORDS[two]} in {unit} {seen[two]} but {_JSON_WORDS[one]} in {unit} {seen[one]}.",
            "Give the column one kind of value throughout.",
        )
    column = list(values.values())
    try:
        return _text_array(column) if _mixed(seen) else pa.array(column)
    except UnicodeEncodeError:
        broken = next(place for place, value in values.items() if not _encodes(value))
        raise DataError(
            f"{what} in {unit} {broken} holds half a character (a lone surrogate such as \\ud83d).",
            "Remove it, or replace it with the whole character.",
        ) from None
    except (pa.ArrowException, OverflowError) as error:
        if nested:
            raise DataError(
                f"{what} holds values of different types inside, between {unit} {next(iter(values))} and "
                f"{next(reversed(values))} ({error}).",
                "Give the same key the same type of value throughout.",
            ) from None
        seen.setdefault(str, 0)  # a number too large for 64 bits: only text holds it
        return _text_array(column)


def _mixed(seen: dict[type, int]) -> bool:
    return len({float if kind is int else kind for kind in seen}) > 1


def _same_kind(column: pa.Array, seen: dict[type, int]) -> pa.Array:
    """Turn a chunk of numbers into text, if text turned up in the column elsewhere."""
    return _text_array(column.to_pylist()) if _mixed(seen) and column.type != pa.string() else column


def _text_array(values: list[Any]) -> pa.Array:
    """Write numbers and true/false as JSON does, so that 1 and "1" are the same label."""
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())


def _encodes(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
