"""Sheets of Excel workbooks as rows of texts and numbers.

    reviews.xlsx, reviews.xlsm      the values of a sheet: formulas as last computed, macros and links never followed

A workbook is a ZIP archive of XML files. Its sizes are checked before it is parsed, and the extent of a sheet is found
from its cells: the extent that the file states is not relied on.
"""

import itertools
import re
import warnings
import zipfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.formats.csv_files import Chunks, header_names, unnamed, without_empty_columns
from toolkit.data.formats.spreadsheets.workbook_format import MOST_COLUMNS, MOST_ROWS, library, unescaped
from toolkit.errors import DataError

SUFFIXES = (".xlsx", ".xlsm")
_MOST_CELLS = 100_000_000  # in the rectangle from A1 to the last value
_HARMLESS = 2**28  # bytes of XML, of which each takes several in memory
_RATIO = 50  # ordinary workbooks are seldom compressed by a larger factor
_BLOCK = 1000  # rows that are parsed at a time
_ENCRYPTED = b"\xd0\xcf\x11\xe0"  # a container of Microsoft's, in which encrypted workbooks are wrapped
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")

_UNCOMPUTED = b"formulas without a value"  # metadata of a column: how many

Value = str | int | float


@dataclass(frozen=True)
class _Extent:
    """What a sheet contains.

    Attributes:
        rows: Number of the last row with a value.
        columns: Number of the last column with a value.
        below: (row, column) of the value of a merged cell → number of its last row.
        titles: Rows in which a cell is merged with those on its right.
        uncomputed: Number of a column → formulas in it of which the file contains no value.
    """

    rows: int
    columns: int
    below: Mapping[tuple[int, int], int]
    titles: frozenset[int]
    uncomputed: Mapping[int, int]


def read(path: Path, sheet: str | None, given: Sequence[str] = ()) -> tuple[pa.Table, pa.Array, list[str]]:
    """Read a sheet as a table of texts, as CSV would contain them; rows without any value are passed over.

    Args:
        path: The workbook.
        sheet: Its sheet; the first one when None.
        given: Names of the columns, of a sheet without a header.

    Returns:
        The table; the number of each of its rows in the sheet; and notes on what was assumed or passed over.

    Raises:
        DataError: The workbook cannot be read, or has no such sheet.
    """
    numbers, table, characters = array("q"), Chunks(path), 0
    with _opened(path, sheet) as (cells, extent, notes):
        names, bare, lines = _below_header(path, cells, extent, given)
        for number, values in lines:
            if any(values):
                row = [_text(value) for value in values]
                characters += sum(map(len, row))
                table.add(row, names, characters)
                numbers.append(number)
        whole = _with_uncomputed(table.joined(names), extent)
        joined, unnamed_notes = without_empty_columns(whole, bare, path)
    return joined, pa.array(numbers, pa.int64()), [*notes, *unnamed_notes]


def _with_uncomputed(table: pa.Table, extent: _Extent) -> pa.Table:
    """Mark the columns of a sheet that hold nothing but formulas without a value: see `formulas`."""
    fields = list(table.schema)
    for column, count in extent.uncomputed.items():
        if column <= len(fields) and not pc.any(pc.not_equal(table[column - 1], "")).as_py():
            fields[column - 1] = fields[column - 1].with_metadata({_UNCOMPUTED: str(count)})
    return table.cast(pa.schema(fields))


def formulas(field: pa.Field) -> int:
    """Return how many formulas without a value a column of a table has, if it has nothing else; 0 otherwise."""
    return int((field.metadata or {}).get(_UNCOMPUTED, 0))


def remarks(path: Path, sheet: str | None) -> list[str]:
    """Return notes on what of a sheet is assumed or passed over.

    Raises:
        DataError: The workbook cannot be read, or has no such sheet.
    """
    with _opened(path, sheet) as (_, _, notes):
        return notes


def sheets(path: Path) -> list[str]:
    """Return the names of the sheets with cells, in their order.

    Raises:
        DataError: The workbook cannot be read.
    """
    with _loaded(path) as found:
        return [sheet.title for sheet in found]


def rows(path: Path, sheet: str | None, given: Sequence[str] = ()) -> Iterator[dict[str, Value]]:
    """Yield the rows below the header, to the last one with a value; numbers stay numbers.

    Args:
        path: The workbook.
        sheet: Its sheet; the first one when None.
        given: Names of the columns, of a sheet without a header.

    Raises:
        DataError: The workbook cannot be read, or has no such sheet.
    """
    with _opened(path, sheet) as (cells, extent, _):
        names, bare, lines = _below_header(path, cells, extent, given)
        used = _used(path, sheet, bare)
        kept = [place for place in range(len(names)) if place not in bare or place in used]
        for _, values in lines:
            yield {names[place]: values[place] for place in kept}


def _used(path: Path, sheet: str | None, bare: Sequence[int]) -> set[int]:
    """Return which of the columns without a name have a value."""
    if not bare:
        return set()
    with _opened(path, sheet) as (cells, _, _):
        return {place for values in cells for place in bare if values[place] != ""}


def _below_header(
    path: Path, cells: Iterator[list[Value]], extent: _Extent, given: Sequence[str]
) -> tuple[list[str], list[int], Iterator[tuple[int, list[Value]]]]:
    """Return the names of the columns, the places of those without one, and the rows below with their numbers."""
    numbered = enumerate(cells, 1)
    for number, values in numbered:
        filled = sum(value != "" for value in values)
        if filled == 0 or (filled == 1 and number in extent.titles and not given):
            continue
        header = [_text(value) for value in values]
        names = header_names(header, given, f"{path}, row {number}")
        rest: Iterator[tuple[int, list[Value]]] = numbered
        if given and header != names:
            rest = itertools.chain([(number, values)], numbered)
        return names, [] if given else unnamed(header), _filled_down(rest, extent)
    return [], [], iter(())


def _filled_down(rows: Iterator[tuple[int, list[Value]]], extent: _Extent) -> Iterator[tuple[int, list[Value]]]:
    """Yield rows in which a cell that is merged downwards has its value in each row that it covers."""
    last: dict[int, tuple[int, Value]] = {}  # column → last row, value
    for number, values in rows:
        if extent.below:
            for place, (end, value) in last.items():
                if number <= end and values[place] == "":
                    values[place] = value
            for place, value in enumerate(values):
                if (number, place + 1) in extent.below:
                    last[place] = (extent.below[number, place + 1], value)
        yield number, values


@contextmanager
def _opened(path: Path, name: str | None) -> Iterator[tuple[Iterator[list[Value]], _Extent, list[str]]]:
    """Give the rows of a sheet from its first to its last value, its extent, and notes."""
    with _loaded(path) as found:
        with _damage(path):
            sheet = _sheet(path, found, name)
            # the same file that the library parses; its own public extent is the one that the file states
            with sheet._get_source() as stream:
                extent = _extent(path, stream)
        yield _cells(path, sheet, extent), extent, _notes(path, found, sheet, name, extent)


@contextmanager
def _loaded(path: Path) -> Iterator[Sequence[Any]]:
    """Give the sheets of a workbook as the library has them; no cell is read yet."""
    openpyxl = library()
    _check_archive(path)
    with _damage(path), _quiet():
        book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        yield book.worksheets
    finally:
        book.close()


def _sheet(path: Path, sheets: Sequence[Any], name: str | None) -> Any:
    if not sheets:
        raise DataError(f"{path} has no sheet with cells.", "Save the table as CSV.", id="data.no-rows")
    if name is None:
        return sheets[0]
    for sheet in sheets:
        if sheet.title.strip().casefold() == name.strip().casefold():
            return sheet
    raise DataError(
        f"{path} has no sheet `{name}`; it has {_listed(sheets)}.",
        "Give one of these with --set data.sheet=NAME.",
        id="data.sheet-missing",
    )


def _listed(sheets: Sequence[Any]) -> str:
    more = f" and {len(sheets) - 12} more" if len(sheets) > 12 else ""
    return ", ".join(f"`{sheet.title}`" for sheet in sheets[:12]) + more


def _notes(path: Path, sheets: Sequence[Any], sheet: Any, name: str | None, extent: _Extent) -> list[str]:
    notes = []
    if name is None and len(sheets) > 1:
        notes.append(
            f"{path.name} has {len(sheets)} sheets; `{sheet.title}`, the first, is read. --set data.sheet=NAME selects "
            f"another: {_listed(sheets[1:])}."
        )
    if extent.below:
        count = len(extent.below)
        cells = "1 merged cell is" if count == 1 else f"{count:,} merged cells are"
        notes.append(f"The value of {cells} used in each row that it covers.")
    if extent.uncomputed:
        count, letters = sum(extent.uncomputed.values()), [*map(_letters, sorted(extent.uncomputed))]
        formulas = "1 formula" if count == 1 else f"{count:,} formulas"
        notes.append(
            f"{path.name} contains {formulas} without a computed value in the column{'s' * (len(letters) > 1)} "
            f"{', '.join(letters[:8])}{' …' if len(letters) > 8 else ''}, read as empty: open it in a spreadsheet "
            "program and save it."
        )
    return notes


def _check_archive(path: Path) -> None:
    """Refuse what is no workbook, is encrypted, or unpacks to more than its limit."""
    with path.open("rb") as stream:
        head = stream.read(4)
    if head == _ENCRYPTED:
        raise DataError(
            f"{path} is encrypted, or an old Excel file with a new name.",
            "Open it in a spreadsheet program, and save it as .xlsx without a password, or as CSV.",
            id="data.encrypted",
        )
    with _damage(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    # at most this many bytes of each member are read
    size, most = sum(member.file_size for member in members), max(_HARMLESS, _RATIO * path.stat().st_size)
    if size > most:
        raise DataError(
            f"{path} unpacks to {size / 2**20:,.0f} MiB, out of {path.stat().st_size:,} bytes.",
            "If that is intended, save the sheet as CSV.",
            id="data.too-large",
        )


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:  # a damaged part raises whatever the parsers of XML, ZIP and styles raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"{path} cannot be read as an Excel workbook: it is truncated, damaged or in another format ({reason}).",
            "Open it in a spreadsheet program, and save it again as .xlsx or as CSV.",
            id="data.damaged-file",
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore the library's warnings of styles, charts and the like, which are not read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _extent(path: Path, stream: Any) -> _Extent:
    """Find the last value, merged cells, and formulas without a value.

    Raises:
        DataError: The sheet is larger than the format, or this reader, permits.
    """
    row = column = last_row = last_column = 0
    uncomputed: dict[int, int] = {}
    below: dict[tuple[int, int], int] = {}
    titles: set[int] = set()
    for event, element in ElementTree.iterparse(stream, ("start", "end")):
        tag = element.tag.rpartition("}")[2]
        if event == "start":
            if tag == "row":
                row, column = int(element.get("r") or row + 1), 0
            continue
        if tag == "c":
            reference = element.get("r")
            row, column = _place(reference) if reference else (row, column + 1)
            inside = {child.tag.rpartition("}")[2]: child for child in element}
            if "is" in inside or ("v" in inside and inside["v"].text):
                last_row, last_column = max(last_row, row), max(last_column, column)
            elif "f" in inside and element.get("t") != "str":  # whose value may be the empty text
                uncomputed[column] = uncomputed.get(column, 0) + 1
        elif tag == "mergeCell":
            first, _, last = element.get("ref", "").partition(":")
            (top, left), (bottom, right) = _place(first), _place(last or first)
            if right > left:
                titles.add(top)
            if bottom > top:
                below[top, left] = bottom
        if tag in ("c", "row", "mergeCell"):
            element.clear()
    if last_row > MOST_ROWS or last_column > MOST_COLUMNS or last_row * last_column > _MOST_CELLS:
        raise DataError(
            f"{path} has values up to row {last_row:,} and column {last_column:,}, more cells than are read.",
            "Delete stray cells, or save the sheet as CSV.",
            id="data.too-large",
        )
    return _Extent(last_row, last_column, below, frozenset(titles), uncomputed)


def _letters(column: int) -> str:
    """Return the name of a column, of which 1 is A and 27 is AA."""
    name = ""
    while column:
        column, place = divmod(column - 1, 26)
        name = chr(65 + place) + name
    return name


def _place(reference: str) -> tuple[int, int]:
    """Return (row, column) of a cell such as "B7", counted from 1."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise ValueError(f"{reference[:20]!r} is no cell")
    column = 0
    for letter in match[1]:
        column = 26 * column + ord(letter) - 64
    return int(match[2]), column


def _cells(path: Path, sheet: Any, extent: _Extent) -> Iterator[list[Value]]:
    """Yield the values of each row, all of one width."""
    if not extent.rows:
        return
    found = iter(sheet.iter_rows(1, extent.rows, 1, extent.columns))
    while True:
        with _damage(path), _quiet():
            block = [[_value(cell) for cell in row] for row in itertools.islice(found, _BLOCK)]
        if not block:
            return
        yield from block


def _value(cell: Any) -> Value:
    """Return a cell's number, or its text: dates as ISO 8601, errors such as #N/A as no value."""
    value = cell.value
    if value is None or cell.data_type == "e":
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    return unescaped(str(value))


def _text(value: Value) -> str:
    """Return a value as CSV would contain it: with the 15 digits that a spreadsheet shows."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)
