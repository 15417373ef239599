"""Tables as Excel workbooks."""

import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from toolkit.data.formats.spreadsheets.workbook_format import (
    ESCAPED,
    MOST_CHARACTERS,
    MOST_COLUMNS,
    MOST_ROWS,
    library,
)
from toolkit.errors import DataError

_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")  # in XML; a carriage return would be lost


def write(path: Path, names: Sequence[str], table: Iterable[Sequence[Any]]) -> list[str]:
    """Write a workbook of one sheet; a text stays a text, also where it begins as a formula does.

    Args:
        path: The workbook.
        names: Of the columns.
        table: Rows of texts, numbers, truth values and None.

    Returns:
        A note, if texts were cut to the length that a cell can hold.

    Raises:
        DataError: There are more rows or columns than a sheet can hold.
    """
    openpyxl = library()
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("predictions")
    cut = 0
    try:
        for count, row in enumerate(itertools.chain([names], table)):
            _check_size(len(names), count)
            values = [_writable(value) for value in row]
            cut += sum(isinstance(value, str) and len(value) > MOST_CHARACTERS for value in values)
            sheet.append([_cell(openpyxl.cell.WriteOnlyCell(sheet), value) for value in values])
    finally:
        sheet.close()
    book.save(path)
    texts = "1 text was" if cut == 1 else f"{cut:,} texts were"
    return [f"{texts} cut to {MOST_CHARACTERS:,} characters, the most that a cell of Excel holds."] if cut else []


def _cell(cell: Any, value: Any) -> Any:
    """Return a cell with its value."""
    if isinstance(value, str):
        cell.value = value[:MOST_CHARACTERS]
        cell.data_type = "s"  # the library takes a text that begins with "=" for a formula
    else:
        cell.value = value
    return cell


def _check_size(columns: int, rows: int) -> None:
    """Refuse a table with more than a sheet can hold, whose first row names the columns.

    Raises:
        DataError: It has.
    """
    if rows >= MOST_ROWS or columns > MOST_COLUMNS:
        raise DataError(
            f"An Excel sheet holds {MOST_ROWS - 1:,} rows and {MOST_COLUMNS:,} columns at most; this table has more.",
            "Use a name that ends in .csv or .parquet.",
            id="output.too-many-rows",
        )


def _writable(value: Any) -> Any:
    """Return a value as a cell can hold it: numbers of more than 15 digits as texts, so that none is rounded."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, int):
        return value if abs(value) < 10**15 else str(value)
    text = ESCAPED.sub(lambda match: f"_x005F_{match[0][1:]}", str(value))
    return _UNWRITABLE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"_x{code:04X}_" if code < 0x20 else "\ufffd"
