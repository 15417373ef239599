"""CSV files as Arrow tables, with the line on which every row starts.

Rows become Arrow a chunk at a time, so that memory stays near the size of the data; every error names file and line.
Values stay as they are written: "01" and "NA" are text.
"""

import csv
import itertools
import json
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config import normal_form
from toolkit.data.formats.text_decoding import most_unpacked, open_text, too_large, whole_lines
from toolkit.data.tables import wording
from toolkit.errors import DataError

MAX_FIELD = 16 * 2**20  # characters; a longer field is nearly always a quote that was never closed
MAX_ROW = 2 * MAX_FIELD
_EXPLAINED = 2**20  # characters of a row in which the broken field is searched for
CHUNK = 10_000  # rows that exist as Python objects at one time
CHUNK_CHARACTERS = 2**26  # and their characters
CHUNK_CELLS = 4_000_000
DELIMITERS = ",;\t|"
ADDED = ("_file", "_row")
_RETURN = "\udc0d"  # placeholder of a carriage return inside a line; no decoder produces this character
_SEPARATOR = re.compile(r'"?sep=(.)"?[;,]*\s*', re.IGNORECASE)  # the first line of a file for Excel


# --- names ----------------------------------------------------------------------------------------------------------


def clean_names(names: Sequence[str], where: str, *, line: bool = False) -> list[str]:
    """Return the column names in NFC, without white space and byte order mark around them.

    A column without a name, as the index that pandas writes, is called by its place: column_1.

    Args:
        names: As they are written.
        where: The file, for messages.
        line: Whether they are a line of text, which might be a row of data.

    Raises:
        DataError: A name is duplicate or reserved.
    """
    clean = [normal_form.normal(name.strip().removeprefix("\ufeff").strip()) for name in names]
    taken = set(clean)
    known: set[str] = set()
    for position, name in enumerate(clean, 1):
        if not name:
            name = f"column_{position}"
            while name in taken:
                name += "_"
            clean[position - 1] = name
        if not encodes(name):
            raise DataError(
                f"{where}: the name of column {position} holds invalid Unicode (a lone surrogate).",
                "Rename the column.",
                id="data.invalid-unicode",
            )
        if name in known:
            fix = "Rename one of them in the header."
            if line:
                fix += (
                    " If that is a row of data, give the names of the columns in order: --set 'data.column_names=[…]'."
                )
            raise DataError(f"{where}: two columns are named `{name}`.", fix, id="data.duplicate-column")
        if name in ADDED:
            raise DataError(
                f"{where}: a column is named `{name}`, a name that the toolkit reserves for the positions of rows.",
                "Rename or delete that column.",
                id="data.reserved-column",
            )
        known.add(name)
    return clean


def unnamed(names: Sequence[str]) -> list[int]:
    """Return the places of the columns that have no name."""
    return [place for place, name in enumerate(names) if not name.strip("\ufeff \t")]


def encodes(value: Any) -> bool:
    """Whether a value can be written in UTF-8: it holds no lone surrogate."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


# --- CSV ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opening:
    """How a CSV file begins.

    Attributes:
        passed: Lines before the header.
        header: The first line that is neither blank nor `sep=;`.
        delimiter: What separates the columns.
        declared: The separator that a line `sep=;` before the header names, for Excel; None without such a line.
    """

    passed: int
    header: str
    delimiter: str
    declared: str | None = None


def opening(lines: Iterator[str], path: Path, delimiter: str | None) -> Opening:
    """Read a CSV file to its header.

    Args:
        lines: The file's, of which those to the header are taken.
        path: The file; the name of one with tabs ends in .tsv or .tab.
        delimiter: As the user named it.
    """
    passed, header, declared = 0, "", None
    for header in lines:
        header = header.removeprefix("\ufeff")
        separator = _SEPARATOR.fullmatch(header) if declared is None else None
        if separator is not None:
            declared = separator[1]
        elif header.strip():
            break
        passed += 1
    tabs = {".tsv", ".tab"} & {suffix.lower() for suffix in path.suffixes}
    return Opening(passed, header, delimiter or declared or ("\t" if tabs else find_delimiter(header)), declared)


def read_csv(
    path: Path, encoding: str | None, delimiter: str | None, given: Sequence[str] = ()
) -> tuple[pa.Table, pa.Array, list[str]]:
    """Read a CSV or TSV file; every value stays text. Rows without any value are passed over.

    Args:
        path: The file.
        encoding: Of its text.
        delimiter: Of its columns; found when None.
        given: Names of the columns, of a file without a header.

    Returns:
        The table; for each of its rows, the 1-based line on which the row starts; and notes on what was passed over.

    Raises:
        DataError: With the line, if a row has the wrong number of fields or quotes that do not close.
    """
    with open_text(path, encoding) as stream, field_limit(MAX_FIELD):
        source = whole_lines(stream, path)
        begin = opening(source, path, delimiter)
        if delimiter and delimiter not in begin.header and find_delimiter(begin.header) in begin.header:
            raise DataError(
                f"{path}: {shown(delimiter)}, the given delimiter, is not in the header; "
                f"{shown(find_delimiter(begin.header))} is.",
                "Leave data.delimiter out: the delimiter is detected.",
                id="data.wrong-delimiter",
            )
        counted = Counted(csv_lines(itertools.chain([begin.header], source)))
        reader = csv.reader(counted, delimiter=begin.delimiter, strict=True)
        end = begin.passed  # the last line of the row before
        table = Chunks(path)
        names: list[str] | None = None
        header: list[str] = []
        bare: list[int] = []
        starts = array("q")
        empty = array("q")
        try:
            for row in map(returned, reader):
                start, end = end + 1, begin.passed + reader.line_num
                counted.row = 0
                if names is None:
                    header, bare = row, [] if given else unnamed(row)
                    names = header_names(row, given, f"{path}:{start}")
                    if not given or row == names:
                        continue
                if not given and not starts and not empty and ends_empty(row, names):
                    header = [*header, *[""] * (len(row) - len(names))]
                    bare, names = unnamed(header), header_names(header, (), f"{path}:{start}")
                if len(row) > 1 and not any(row):
                    empty.append(start)
                elif len(row) == len(names):
                    table.add(row, names, counted.total)
                    starts.append(start)
                elif row and not (len(row) == 1 and row[0].isspace()):
                    raise _wrong_width(f"{path}:{start}", len(row), names, begin.delimiter)
        except csv.Error as error:
            last = begin.passed + reader.line_num
            raise _broken_quotes(path, encoding, end + 1, last, begin.delimiter, str(error)) from None
    joined, notes = without_empty_columns(table.joined(names or []), bare, path)
    if empty:
        many, were = wording.rows(len(empty))
        notes = [f"{many} of {path.name} without any value {were} ignored (first: line {empty[0]}).", *notes]
    return joined, pa.array(starts, pa.int64()), notes


def header_names(row: Sequence[str], given: Sequence[str], where: str) -> list[str]:
    """Return the names of the columns: of the header, or as the user gave them.

    Raises:
        DataError: The user gave more of them, or fewer.
    """
    if given and len(given) != len(row):
        raise DataError(
            f"{where}: this row has {len(row)} fields, but data.column_names has {len(given)} names.",
            "Give one name for each column, in their order.",
            id="data.wrong-row-width",
        )
    return clean_names(given or row, where, line=not given)


def ends_empty(row: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a row, the first below the header, has more fields than there are names, all of them empty.

    Some programs write a separator behind the last field of each row, but not of the header.
    """
    return len(row) > len(names) and not any(row[len(names) :]) and any(row)


def without_empty_columns(table: pa.Table, places: Sequence[int], path: Path) -> tuple[pa.Table, list[str]]:
    """Leave out the columns at `places`, which have no name, where they have no values either; return notes."""
    notes = []
    empty = [place for place in places if not pc.any(pc.not_equal(table[place], "")).as_py()]
    called = [table.column_names[place] for place in places if place not in set(empty)]
    if empty:
        many = "1 column" if len(empty) == 1 else f"{len(empty):,} columns"
        were = "was" if len(empty) == 1 else "were"
        notes.append(f"{many} of {path.name} with neither a name nor a value {were} ignored.")
    if called:
        notes.append(f"In {path.name} columns without a name are named {', '.join(called[:8])}.")
    return table.drop_columns([table.column_names[place] for place in empty]), notes


class Counted:
    """Lines, and how many characters they have.

    Attributes:
        total: Characters of all lines so far.
        row: Characters since this was last set to 0.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.total = self.row = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.total += len(line)
        self.row += len(line)
        if self.row > MAX_ROW:
            raise csv.Error("limit")
        return line


class Chunks:
    """Rows of texts that are converted to Arrow in chunks, however many or long they are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._most = most_unpacked(path)
        self._rows: list[Sequence[str]] = []
        self._tables: list[pa.Table] = []
        self._begin = self._size = 0

    def add(self, row: Sequence[str], names: Sequence[str], characters: int) -> None:
        """Add a row; `characters` have been read so far."""
        self._rows.append(row)
        count = len(self._rows)
        if count == CHUNK or count * len(names) >= CHUNK_CELLS or characters - self._begin >= CHUNK_CHARACTERS:
            self._close(names)
            self._begin = characters

    def _close(self, names: Sequence[str]) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(names)
        table = pa.Table.from_arrays([pa.array(column, pa.string()) for column in columns], names=list(names))
        self._tables.append(table)
        self._rows = []
        self._size += table.nbytes
        if self._size > self._most:
            raise too_large(self._path)

    def joined(self, names: Sequence[str]) -> pa.Table:
        """Return all rows in one table."""
        self._close(names)
        return pa.concat_tables(self._tables)


def csv_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines with carriage returns replaced, at which the csv module would end a row."""
    for line in lines:
        text = line.rstrip("\r\n")
        yield text.replace("\r", _RETURN) + line[len(text) :] if "\r" in text else line


def returned(fields: list[str]) -> list[str]:
    """Return the fields of a row with the carriage returns that `csv_lines` replaced."""
    return [field.replace(_RETURN, "\r") for field in fields]


@contextmanager
def field_limit(limit: int) -> Iterator[None]:
    """Set the csv module's limit, which is global, and restore it."""
    before = csv.field_size_limit(limit)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def check_delimiter(delimiter: str | None) -> str | None:
    """Return a delimiter that the user named as a character.

    Raises:
        DataError: It is none.
    """
    delimiter = "\t" if delimiter in ("\\t", "tab") else delimiter
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise DataError(
            f"{delimiter!r} cannot separate columns; a delimiter is one character.",
            r"Use --set data.delimiter=';' or another character; \t is the tab.",
            id="config.malformed-value",
        )
    return delimiter


def find_delimiter(header: str) -> str:
    """Return the delimiter that splits the header into the most names; a comma if none does."""
    return max(DELIMITERS, key=lambda delimiter: len(_fields(header, delimiter)))


def split_header(header: str) -> list[str]:
    """Return the names in a header, split at the most likely delimiter."""
    return [field.strip() for field in _fields(header, find_delimiter(header))]


def _fields(header: str, delimiter: str) -> list[str]:
    return next(csv.reader(csv_lines([header]), delimiter=delimiter), [])


def shown(delimiter: str) -> str:
    """Return a delimiter as messages show it."""
    return "tab" if delimiter == "\t" else f"`{delimiter}`"


def _wrong_width(where: str, width: int, names: list[str], delimiter: str) -> DataError:
    columns = "1 column" if len(names) == 1 else f"{len(names)} columns"
    fields = "1 field" if width == 1 else f"{width} fields"
    return DataError(
        f"{where}: this row has {fields}, but the header names {columns} ({', '.join(names[:8])}).",
        f"Put text that holds a {shown(delimiter)} or a line break in double quotes. If {shown(delimiter)} is not "
        "the delimiter, give the right one, such as --set data.delimiter=';'.",
        id="data.wrong-row-width",
    )


def _broken_quotes(path: Path, encoding: str | None, start: int, end: int, delimiter: str, reason: str) -> DataError:
    """Explain a row, from line `start` to line `end`, that the csv module could not split."""
    with open_text(path, encoding) as stream:
        row = "".join(itertools.islice(stream, start - 1, end)).removeprefix("\ufeff")
    if len(row) > _EXPLAINED:
        row = ""
    # Whole fields, each with the delimiter behind it: the field that is left after them is the broken one.
    other = re.escape(delimiter)
    whole = re.match(rf'(?:(?:"[^"]*(?:""[^"]*)*"|[^"{other}][^{other}]*)?{other})*', row)
    line = start + row[: whole.end() if whole else 0].count("\n")
    fix = 'Close the quote. In quoted text, double each quote, as in "she said ""yes"" twice".'
    if "limit" in reason:
        size = f"{MAX_FIELD / 2**20:g} Mi characters"
        return DataError(
            f"{path}:{line}: the field that starts here is longer than {size}; is a quote open?",
            fix,
            id="data.too-long",
        )
    if "end of data" in reason:
        return DataError(
            f"{path}:{line}: the double quote that opens a field is not closed.", fix, id="data.broken-quotes"
        )
    ends = "" if end == line else f" (it ends in line {end})"
    return DataError(
        f"{path}:{line}: the quoted field that starts here has text after its closing quote{ends}.",
        fix,
        id="data.broken-quotes",
    )
