"""JSON lines, or one list of objects, as an Arrow table with the line on which every row starts.

Rows become Arrow a chunk at a time, and a list is read item by item, so that memory stays near the size of the data.
JSON values keep their types; NaN is a missing value.
"""

import itertools
import json
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from toolkit.data.formats import annotation_exports, csv_files, text_decoding
from toolkit.data.formats.csv_files import CHUNK_CELLS, CHUNK_CHARACTERS, clean_names, encodes
from toolkit.data.formats.text_decoding import open_text
from toolkit.errors import DataError

_SPACE = " \t\r\n"
_BLOCK = 2**20  # characters of a list that are read at a time
_DECODER = json.JSONDecoder(parse_constant=lambda name: None if name == "NaN" else float(name))
_CELL = 5  # bytes that an empty cell takes, at the least

_JSON_FIX = 'Write one object per line, such as {"text": "…", "label": "…"}, or the whole file as one list of objects.'
_JSON_WORDS = {dict: "an object", list: "a list", str: "text", bool: "true/false", int: "a number", float: "a number"}


def read_json(path: Path, encoding: str | None) -> tuple[pa.Table, pa.Array]:
    """Read JSON lines, or one list of objects; absent keys become null.

    A column of text and numbers (or true/false) becomes text throughout.

    Returns:
        The table and, for each of its rows, the 1-based line (of a list: the 1-based position in it).

    Raises:
        DataError: With the line, if it is not an object, or if a column mixes kinds that no type can hold.
    """
    kinds: dict[str, dict[type, int]] = {}  # column -> type of value -> its first occurrence
    chunks: list[tuple[int, dict[str, pa.Array]]] = []
    starts = array("q")
    size, most, filled = 0, text_decoding.most_unpacked(path), 0
    with open_text(path, encoding) as stream:
        source = Source(stream)
        unit = "item" if source.is_list else "line"
        objects_of = list_items if source.is_list else line_objects
        for batch in _batches(objects_of(path, source), source):
            numbers, objects = zip(*batch, strict=True)
            starts.extend(numbers)
            columns = {}
            for name in dict.fromkeys(itertools.chain.from_iterable(objects)):
                places = dict(zip(numbers, (record.get(name) for record in objects), strict=True))
                kinds[name] = _kinds(places, kinds.get(name, {}))
                columns[name], as_text = _json_array(f"{path}: `{name}`", unit, places, kinds[name])
                if as_text:
                    kinds[name].setdefault(str, 0)
            chunks.append((len(objects), columns))
            size += sum(column.nbytes for column in columns.values())
            cells = len(starts) * len(kinds)
            filled += sum(map(len, objects))
            if max(size, _CELL * cells) > most:
                raise _too_many_keys(path, len(kinds)) if 2 * filled < cells else text_decoding.too_large(path)
    names = clean_names(list(kinds), str(path))
    tables = []
    for length, columns in chunks:
        arrays = [_same_kind(columns.get(name, pa.nulls(length)), seen) for name, seen in kinds.items()]
        tables.append(pa.Table.from_arrays(arrays, names=names))
    try:
        table = pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
    except pa.ArrowException as error:
        raise DataError(
            f"{path}: the values of a column do not fit one type ({error}).", _JSON_FIX, id="data.mixed-types"
        ) from None
    return table, pa.array(starts, pa.int64())


def _too_many_keys(path: Path, keys: int) -> DataError:
    return DataError(
        f"{path} has {keys:,} different keys: most cells of the table would be empty.",
        'Are some of the keys values? Write {"id": "…", "text": "…"} for each of them.',
        id="data.too-many-columns",
    )


def _batches(
    records: Iterator[tuple[int, dict[str, Any]]], source: "Source"
) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Yield some records at a time, however many or long they are, and however many keys they have."""
    batch: list[tuple[int, dict[str, Any]]] = []
    keys: set[str] = set()
    begin = source.total
    for record in records:
        batch.append(record)
        keys.update(record[1])
        if (
            len(batch) == csv_files.CHUNK
            or len(batch) * len(keys) >= CHUNK_CELLS
            or source.total - begin >= CHUNK_CHARACTERS
        ):
            yield batch
            batch, keys, begin = [], set(), source.total
    if batch:
        yield batch


class Source:
    """A JSON text, read up to its first character.

    Attributes:
        line: Number of that character's line.
        is_list: Whether it begins a list.
        total: Characters that were read.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.line, before, sign = 1, "", stream.read(1)
        while sign and sign in f"{_SPACE}\ufeff":
            self.line += sign == "\r" or (sign == "\n" and before != "\r")
            before, sign = sign, stream.read(1)
        self._first = sign
        self.is_list = sign == "["
        self.total = 0

    def read(self, size: int) -> str:
        """Return up to `size` characters more."""
        return self._counted(self._stream.read(size))

    def readline(self, size: int) -> str:
        """Return the rest of the line, or `size` characters of it."""
        return self._counted(self._stream.readline(size))

    def _counted(self, text: str) -> str:
        text, self._first = self._first + text, ""
        self.total += len(text)
        return text


def line_objects(path: Path, source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the object of each line, with the line's number.

    Raises:
        DataError: With the line, if it is not an object.
    """
    for number, line in enumerate(text_decoding.whole_lines(source, path), source.line):
        if line.strip("\ufeff\r\n\t "):
            yield number, _object(f"{path}:{number}", annotation_exports.row(_parse(path, number, line.rstrip())))


def list_items(
    path: Path, source: Source, of: Callable[[Any], Any] = lambda item: item
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a list, each with its place, counted from 1; `of` makes them of items of another form.

    Raises:
        DataError: With the place, if it is not a list of objects.
    """
    text = _ListText(path, source)
    sign = text.sign(skipped=1)
    for place in itertools.count(1):
        if sign == "]" and place == 1:
            break
        yield place, _object(f"{path}: item {place}", annotation_exports.row(of(text.value())))
        sign = text.sign()
        if sign != ",":
            break
        text.sign(skipped=1)
    if sign != "]":
        raise text.fault("the list is not closed" if not sign else "expecting ',' delimiter")
    if text.sign(skipped=1):
        raise text.fault("there is text after the list")


class _ListText:
    """The text of a list, of which one item and a block are held at a time."""

    def __init__(self, path: Path, source: Source) -> None:
        self._path, self._source = path, source
        self._line, self._column = source.line, 0  # of the first character that is held
        self._text, self._at = "", 0

    def _more(self) -> bool:
        gone = self._text[: self._at]
        self._line += gone.count("\n")
        self._column = len(gone) - gone.rfind("\n") - 1 if "\n" in gone else self._column + len(gone)
        block = self._source.read(max(_BLOCK, len(self._text) - self._at))  # what is parsed again is twice as long
        self._text, self._at = self._text[self._at :] + block, 0
        return bool(block)

    def sign(self, skipped: int = 0) -> str:
        """Return the next character that is not white space, after the skipped ones; nothing at the end."""
        if self._at < len(self._text) or self._more():
            self._at += skipped
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def value(self) -> Any:
        """Return the next value."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > text_decoding.MAX_LINE:
                    raise self.fault(text_decoding.too_long("item")) from None
                if self._more():
                    continue
                raise self.fault(error.msg.removesuffix(" at"), error.pos) from None
            except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand nested lists
                raise self.fault(str(error)) from None
            if end == len(self._text) and self._more():
                continue  # a number may continue
            if end - self._at > text_decoding.MAX_LINE:
                raise self.fault(text_decoding.too_long("item"))
            self._at = end
            return value

    def fault(self, reason: str, at: int | None = None) -> DataError:
        """Return the error with the fault of the text, and its place."""
        at = self._at if at is None else at
        before = self._text[:at]
        line = self._line + before.count("\n")
        column = at - before.rfind("\n") if "\n" in before else self._column + at + 1
        return DataError(
            f"{self._path}:{line}: not JSON: {reason} at character {column}.", _JSON_FIX, id="data.invalid-json"
        )


def parse(text: str) -> Any:
    """Return a JSON value; NaN, which pandas and numpy write for what is missing, is None."""
    return _DECODER.decode(text)


def is_object(text: str) -> bool:
    """Return whether a line is a JSON object."""
    try:
        return text.startswith("{") and isinstance(parse(text), dict)
    except (ValueError, RecursionError):
        return False


def _parse(path: Path, line: int, text: str) -> Any:
    try:
        return parse(text)
    except json.JSONDecodeError as error:
        where = f"{path}:{line + error.lineno - 1}"
        raise DataError(
            f"{where}: not JSON: {error.msg.removesuffix(' at')} at character {error.colno}.",
            _JSON_FIX,
            id="data.invalid-json",
        ) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand nested lists
        raise DataError(f"{path}:{line}: not readable JSON: {error}.", _JSON_FIX, id="data.invalid-json") from None


def _object(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(
            f"{where}: expected an object, not {_JSON_WORDS.get(type(value), 'null')}.",
            _JSON_FIX,
            id="data.invalid-json",
        )
    return value


def _kinds(values: Mapping[int, Any], before: Mapping[type, int]) -> dict[type, int]:
    """Return the kinds of values in a column, each with the place where it came up first."""
    kinds = dict(before)
    for place, value in values.items():
        if value is not None:
            kinds.setdefault(type(value), place)
    return kinds


def _json_array(what: str, unit: str, values: Mapping[int, Any], seen: Mapping[type, int]) -> tuple[pa.Array, bool]:
    """Turn one chunk of a column into an array; return also whether it holds numbers that only a text can hold.

    Args:
        what: The column, in messages.
        unit: What places are counted in.
        values: Place → value.
        seen: From `_kinds`.
    """
    nested = seen.keys() & {dict, list}
    if nested and len(seen) > 1:
        first = next(iter(nested))
        second = next(kind for kind in seen if kind is not first)
        raise DataError(
            f"{what} is {_JSON_WORDS[second]} in {unit} {seen[second]} but "
            f"{_JSON_WORDS[first]} in {unit} {seen[first]}.",
            "Give the column one type of value in every row.",
            id="data.mixed-types",
        )
    column = list(values.values())
    try:
        return (_text_array(column) if _mixed(seen) else pa.array(column)), False
    except UnicodeEncodeError:
        broken = next(place for place, value in values.items() if not encodes(value))
        raise DataError(
            f"{what} in {unit} {broken} holds invalid Unicode (a lone surrogate such as \\ud83d).",
            "Remove it, or replace it with the complete character.",
            id="data.invalid-unicode",
        ) from None
    except (pa.ArrowException, OverflowError) as error:
        if nested:
            raise DataError(
                f"{what} holds nested values of different types, between {unit} {next(iter(values))} and "
                f"{next(reversed(values))} ({error}).",
                "Give each key the same type of value in every row.",
                id="data.mixed-types",
            ) from None
        return _text_array(column), True  # a number too large for 64 bits


def _mixed(seen: Mapping[type, int]) -> bool:
    return len({float if kind is int else kind for kind in seen}) > 1


def _same_kind(column: pa.Array, seen: Mapping[type, int]) -> pa.Array:
    """Turn a chunk of numbers into text, if text turned up in the column elsewhere."""
    return _text_array(column.to_pylist()) if _mixed(seen) and column.type != pa.string() else column


def _text_array(values: list[Any]) -> pa.Array:
    """Write numbers and true/false as JSON does, so that 1 and "1" are the same label."""
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())
