"""Text with one example a line (.txt): a text alone, fastText's labels before it, or columns with tabs between them.

    I liked it.                    {"text": …}
    __label__good I liked it.      {"text": …, "label": "good"}; more than one label is a list
    good<TAB>I liked it.           {"label": …, "text": …}, or as named in the first line

Quotes have a meaning only around a whole field, as spreadsheets write them.
"""

import csv
import itertools
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit.data.formats import headers
from toolkit.data.formats.csv_files import Chunks, clean_names, header_names
from toolkit.data.formats.text_decoding import open_text, whole_lines
from toolkit.errors import DataError

_MARK = "__label__"
_MOST_INSPECTED = 1000  # lines


@dataclass(frozen=True)
class Layout:
    """How the lines of a text are to be read.

    Attributes:
        names: Columns.
        delimiter: Between the columns; None for texts alone, and for fastText's lines.
        header: Whether the first line holds the names.
        marked: Whether lines begin with fastText's labels.
        note: A sentence for the user.
    """

    names: tuple[str, ...] = ("text",)
    delimiter: str | None = None
    header: bool = False
    marked: bool = False
    note: str | None = None

    def values(self, line: str) -> tuple[Any, ...] | None:
        """Return the values of a line, one for each column; None where it has more or fewer."""
        if self.marked:
            words = line.split()
            labels = list(itertools.takewhile(lambda word: word.startswith(_MARK), words))
            text = line.strip()
            for label in labels:
                text = text.removeprefix(label).lstrip()
            return (text, [label.removeprefix(_MARK) for label in labels]) if labels else None
        if self.delimiter is None:
            return (line,)
        fields = _fields(line, self.delimiter)
        return tuple(fields) if len(fields) == len(self.names) else None


def _fields(line: str, delimiter: str) -> list[str]:
    if '"' in line:
        try:
            return next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error:
            pass  # a quotation mark of the text
    return line.split(delimiter)


def find_layout(lines: Sequence[str], delimiter: str | None, given: Sequence[str], where: str) -> Layout:
    """Determine the layout of a text from its first lines.

    Args:
        lines: Without their ends; blank ones are ignored.
        delimiter: As the user named it; without it columns have tabs between them.
        given: Names of the columns, as the user gave them.
        where: The file, for messages.

    Raises:
        DataError: The names are not those of the columns.
    """
    lines = [line for line in lines[:_MOST_INSPECTED] if line.strip()]
    if lines and all(line.lstrip().startswith(_MARK) for line in lines):
        return Layout(("text", "label"), marked=True)
    separator = delimiter or "\t"
    rows = [_fields(line, separator) for line in lines]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or widths == {1} or (len(rows) == 1 and not delimiter):
        return Layout()
    first, *others = rows
    if given:
        names = header_names(first, given, where)
        return Layout(tuple(names), separator, header=first == names)
    if not headers.looks_like_data(first, others):
        return Layout(tuple(clean_names(first, where)), separator, header=True)
    names = _guessed(rows)
    note = f"No line of {where} names the columns, which are assumed to be {', '.join(names)} (data.column_names)."
    return Layout(tuple(names), separator, note=note)


def _guessed(rows: Sequence[Sequence[str]]) -> list[str]:
    """Name columns by their positions; of two, the one with few repeated values is the label."""
    different = [len(set(column)) for column in zip(*rows, strict=True)]
    if len(different) == 2 and 2 * min(different) <= len(rows) and different[0] != different[1]:
        return ["label", "text"] if different[0] < different[1] else ["text", "label"]
    return [f"column_{place}" for place in range(1, len(different) + 1)]


def read_lines(
    path: Path, encoding: str | None, delimiter: str | None, given: Sequence[str] = ()
) -> tuple[pa.Table, pa.Array, list[str]]:
    """Read a text with one example a line; blank lines are passed over.

    Returns:
        The table; for each of its rows, its 1-based line; and notes on what was guessed.

    Raises:
        DataError: With the line that has more columns than the first, or fewer.
    """
    with open_text(path, encoding) as stream:
        source = ((number, line.rstrip("\r\n")) for number, line in enumerate(whole_lines(stream, path), 1))
        head = list(itertools.islice(source, _MOST_INSPECTED))
        layout = find_layout([line.removeprefix("\ufeff") for _, line in head], delimiter, given, str(path))
        table, starts, labels = Chunks(path), array("q"), list[list[str]]()
        passed, characters = not layout.header, 0
        for number, line in itertools.chain(head, source):
            line = line.removeprefix("\ufeff") if number == 1 else line
            if not line.strip():
                continue
            if not passed:
                passed = True
                continue
            values = layout.values(line)
            if values is None:
                raise _odd_line(f"{path}:{number}", layout, line)
            characters += len(line)
            if layout.marked:
                labels.append(values[1])
                values = (values[0],)
            table.add(values, layout.names[: len(values)], characters)
            starts.append(number)
    joined = table.joined(layout.names[:1] if layout.marked else layout.names)
    if layout.marked:
        joined = joined.append_column("label", _labels(labels))
    return joined, pa.array(starts, pa.int64()), [layout.note] if layout.note else []


def _labels(labels: Sequence[Sequence[str]]) -> pa.Array:
    """Return the labels of fastText's lines: texts, or lists where any line has several."""
    if any(len(several) > 1 for several in labels):
        return pa.array(labels, pa.list_(pa.string()))
    return pa.array([several[0] for several in labels], pa.string())


def _odd_line(where: str, layout: Layout, line: str) -> DataError:
    if layout.marked:
        return DataError(
            f"{where}: no label precedes this line.",
            f"Begin it with {_MARK}NAME, like the others.",
            id="label.missing",
        )
    width = len(_fields(line, layout.delimiter or "\t"))
    return DataError(
        f"{where}: this line has {width} column{'' if width == 1 else 's'}, but the previous lines have "
        f"{len(layout.names)}.",
        "Remove tabs and line breaks from the texts, or save the file as .tsv with such texts in double quotes.",
        id="data.wrong-row-width",
    )
