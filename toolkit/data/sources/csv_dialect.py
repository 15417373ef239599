"""How a CSV file is written: its encoding, byte order mark, separator and line ends."""

import codecs
from dataclasses import dataclass
from pathlib import Path

from toolkit.data.formats import csv_files, text_decoding


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    Attributes:
        encoding: Of its text.
        mark: Whether a byte order mark is its first character.
        delimiter: What separates the columns.
        line_end: What ends a row.
        declared: Whether a first line `sep=;` names the separator, for Excel.
    """

    encoding: str = "utf-8"
    mark: bool = False
    delimiter: str = ","
    line_end: str = "\n"
    declared: bool = False


def find_dialect(path: Path, encoding: str | None, delimiter: str | None) -> Dialect:
    """Return how a CSV file is written, judged by its lines to the header.

    Args:
        path: The file.
        encoding: As the user named it.
        delimiter: As the user named it.
    """
    marked = text_decoding.byte_order_mark(path)
    name = codecs.lookup(marked or encoding or "utf-8").name
    with text_decoding.open_text(path, encoding, "surrogateescape") as stream:
        begin = csv_files.opening(text_decoding.lines(stream), path, csv_files.check_delimiter(delimiter))
    line_end = next((end for end in ("\r\n", "\r") if begin.header.endswith(end)), "\n")
    plain = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}  # which write no mark by themselves
    declared = begin.declared == begin.delimiter
    return Dialect(plain.get(name, name), marked is not None, begin.delimiter, line_end, declared)
