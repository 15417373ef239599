"""Corrections of training rows: rows that are left out, and rows that get another label.

    file,row,decision,new_label
    reviews.csv,17,drop,
    reviews.csv,40,relabel,negative

Rows are named by their place in the user's files. A file of corrections may have further columns, such as those that
`toolkit repair` writes for the person who decides; `keep` and an empty decision leave a row as it is. Texts that a
spreadsheet would run as formulas have an apostrophe before them, which is removed when they are read.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.data.formats import written_numbers
from toolkit.data.tables.columns import POSITION
from toolkit.errors import ConfigError, DataError, SourceError
from toolkit.tasks.task import Column

COLUMNS = ("file", "row", "decision", "new_label")
SUGGESTION = "suggestion"  # the new label of a row that is relabelled without one
KEEP, DROP, RELABEL = "keep", "drop", "relabel"
_FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet would run, and what was made safe already

Place = tuple[str, int]  # file and row


@dataclass(frozen=True)
class Correction:
    """What becomes of a training row.

    Attributes:
        line: Of the file of corrections, for messages.
        value: The new label; None for a row that is left out.
    """

    line: int
    value: Any = None


def safe(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula; numbers are unchanged."""
    return f"'{cell}" if _FORMULA.match(cell) and written_numbers.number(cell) is None else cell


def plain(cell: str) -> str:
    """Return the text of which `safe` made a cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def written(lines: Iterable[Mapping[str, str]], columns: Sequence[str], *, head: bool = True) -> str:
    """Return rows of texts as CSV that a spreadsheet opens safely."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerows([columns] if head else [])
    writer.writerows([safe(line.get(name, "")) for name in columns] for line in lines)
    return stream.getvalue()


def text_of(corrections: Mapping[Place, Correction], target: Column, labels: Sequence[str]) -> str:
    """Return corrections as a file of them, ordered by file and row."""
    lines = [
        {
            **dict(zip(COLUMNS, (file, str(row)), strict=False)),
            "decision": DROP if correction.value is None else RELABEL,
            "new_label": "" if correction.value is None else cell(target, correction.value, labels),
        }
        for (file, row), correction in sorted(corrections.items())
    ]
    return written(lines, COLUMNS)


def cell(target: Column, value: Any, labels: Sequence[str]) -> str:
    """Return a label as corrections have it."""
    text: str = (target.kind.cell or target.kind.shown)(value, labels)
    return text


def read(path: Path, target: Column, labels: Sequence[str]) -> dict[Place, Correction]:
    """Return the corrections of a file.

    Args:
        path: CSV with the columns file, row and decision; of new_label and suggestion where rows are relabelled.
            A new label without a decision is one to relabel.
        target: The column that is corrected.
        labels: Names of the classes.

    Raises:
        ConfigError: Rows of the task cannot be corrected.
        SourceError: The file cannot be read.
        DataError: It lacks a column, or a row, a decision or a label is wrong.
    """
    if target.kind.of_cell is None:
        raise ConfigError(
            f"The column of the {target.role} cannot be corrected: its values are neither classes nor numbers.",
            "Correct the data themselves, and train again.",
            id="repair.not-for-task",
        )
    corrections: dict[Place, Correction] = {}
    decided: dict[Place, int] = {}  # to the line; rows that are kept, too
    for line, row in rows(path):
        new = row.get("new_label", "")
        decision = row["decision"].casefold() or (RELABEL if new else "")
        if not decision:
            continue
        where = f"{path}, line {line}"
        if decision not in (KEEP, DROP, RELABEL):
            raise DataError(
                f"{where}: `{row['decision'][:60]}` is not a decision.",
                f"Write {KEEP}, {DROP}, {RELABEL}, or nothing.",
                id="repair.unknown-decision",
            )
        number = written_numbers.number(row["row"])
        if number is None or not number.is_integer():
            raise DataError(
                f"{where}: `{row['row'][:60]}` is not the number of a row.",
                "Leave the columns file and row as they were written.",
                id="repair.unknown-row",
            )
        place = (row["file"], int(number))
        if place in decided:
            raise DataError(
                f"{where}: {place[0]}, row {place[1]} has a decision in line {decided[place]} already.",
                "Keep one of the two.",
                id="repair.decided-twice",
            )
        if decision != RELABEL and new:
            raise DataError(
                f"{where}: the decision is {decision}, and there is a new label, `{new[:60]}`.",
                f"Write {RELABEL}, or leave the new label out.",
                id="repair.decided-twice",
            )
        decided[place] = line
        if decision == KEEP:
            continue
        corrections[place] = Correction(line, _label(row, where, target, labels) if decision == RELABEL else None)
    return corrections


def _label(row: Mapping[str, str], where: str, target: Column, labels: Sequence[str]) -> Any:
    text = row.get("new_label") or row.get(SUGGESTION) or ""
    try:
        if not text:
            raise ValueError("there is no new label")
        return target.kind.of_cell(text, labels)
    except ValueError as error:
        classes = f"The classes are {', '.join(labels[:20])}{', …' if len(labels) > 20 else ''}." if labels else ""
        raise DataError(
            f"{where}: {error}.", f"Correct the column new_label. {classes}".strip(), id="repair.unknown-label"
        ) from None


def rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return line number and cells of each row of a file of corrections.

    Raises:
        SourceError: The file cannot be read.
        DataError: It is not CSV, or lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SourceError(
            f"{path} cannot be read: {reason}.",
            "Give a CSV file with decisions, as `toolkit repair` writes it.",
            id="repair.decisions-unreadable",
        ) from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)  # spreadsheets of some countries save with semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = [name.strip().casefold() for name in next(reader, [])]
        missing = [name for name in COLUMNS[:3] if name not in names]
        if missing:
            raise DataError(
                f"{path} has no column {missing[0]}.",
                "Give the file that `toolkit repair` wrote, with all its columns.",
                id="repair.decisions-unreadable",
            )
        return [
            (reader.line_num, dict(zip_longest(names, map(str.strip, map(plain, cells[: len(names)])), fillvalue="")))
            for cells in reader
            if any(cells)
        ]
    except csv.Error as error:
        raise DataError(
            f"{path} is not CSV: {error}.", "Save it as CSV again.", id="repair.decisions-unreadable"
        ) from None


def positions(table: pa.Table) -> dict[Place, int]:
    """Return the position of each training row by its place in the user's files."""
    files, numbers = (table[name].to_pylist() for name in POSITION)
    return {(str(file), int(number)): place for place, (file, number) in enumerate(zip(files, numbers, strict=True))}


def apply(
    corrections: Mapping[Place, Correction], train: pa.Table, target: Column
) -> tuple[pa.Table, dict[str, int], str]:
    """Correct the training rows.

    Args:
        corrections: From `read`; those of rows that are not among the training rows are not applied.
        train: The rows.
        target: The column that is corrected.

    Returns:
        The rows, how many were dropped, relabelled and not found, and a sentence with these numbers.
    """
    known = positions(train)
    values = train[target.role].to_pylist()
    kept = np.ones(train.num_rows, bool)
    relabelled = 0
    for place, correction in corrections.items():
        if place not in known:
            continue
        position = known[place]
        if correction.value is None:
            kept[position] = False
        else:
            relabelled += correction.value != values[position]
            values[position] = correction.value
    column = pa.chunked_array([pa.array(values, train[target.role].type)])
    changed = train.set_column(train.column_names.index(target.role), target.role, column).filter(pa.array(kept))
    absent = sum(place not in known for place in corrections)
    counts = {"corrected_dropped": int((~kept).sum()), "corrected_relabelled": relabelled}
    elsewhere = f"; not applied, since not in train: {absent:,}" if absent else ""
    note = f"Corrected training rows: left out {counts['corrected_dropped']:,}, relabelled {relabelled:,}{elsewhere}."
    return changed, counts, note
