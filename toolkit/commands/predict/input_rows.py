"""Rows of the input of `predict`: read in chunks, their columns assigned to the inputs of the model."""

import heapq
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from toolkit.config import RunConfig
from toolkit.data.batching import vocabulary
from toolkit.data.formats import headers
from toolkit.data.sources import row_formats, row_stream
from toolkit.data.sources.csv_dialect import Dialect
from toolkit.data.sources.folders import files
from toolkit.data.sources.row_formats import Row
from toolkit.data.tables import columns
from toolkit.errors import DataError
from toolkit.events import Note, Observe
from toolkit.inference.model import StoredModel
from toolkit.tasks.task import Column

MOST_TABLES = 20  # in a folder; more are texts, one in each file
ADDED = ("prediction", "score", "calibrated_score", "explanation", "problem")


def read_rows(source: str, values: Mapping[str, Any], config: RunConfig, inputs: Sequence[Column]) -> Iterator[Row]:
    """Yield the rows of a file or of standard input.

    Args:
        source: The file, or "-".
        values: Nested configuration values of this call, which say how it is read.
        config: Of the model.
        inputs: What the model reads.
    """
    data = values.get("data", {})
    everything = bool(config.options.get("retranslate"))
    roles = [column.role for column in inputs]
    return row_stream.rows(
        source,
        encoding=data.get("encoding"),
        delimiter=data.get("delimiter"),
        names=data.get("column_names") or (),
        sheet=data.get("sheet"),
        query=data.get("query"),
        everything=everything,
        known=[name for role in roles for name in (role, config.data.columns.get(role, role))],
    )


def note_assumptions(source: str, values: Mapping[str, Any], observe: Observe) -> None:
    """Note what of a file is assumed or passed over when its rows are read, as of `read_rows`."""
    for note in row_stream.remarks(source, values.get("data", {}).get("sheet")):
        observe(Note(note))


def no_rows(source: str) -> DataError:
    """Return the error for an input without rows."""
    if source == row_stream.STANDARD_INPUT:
        return DataError("Standard input has no rows.", "Check the command that writes it.", id="data.no-rows")
    return DataError(f"{source} contains no rows.", "Check that the file is complete.", id="data.no-rows")


def output_dialect(source: str, output: Path, values: Mapping[str, Any]) -> Dialect:
    """Return how an output of CSV is written: as the input, but with the separator that its name indicates."""
    data = values.get("data", {})
    given = row_stream.dialect(source, data.get("encoding"), data.get("delimiter")) or Dialect()
    tabs = (".tsv", ".tab")
    if output.suffix.lower() in tabs:
        return replace(given, delimiter="\t", declared=False)
    named = any(suffix.lower() in tabs for suffix in Path(source).suffixes)
    return replace(given, delimiter=",") if named else given


def in_chunks(rows: Iterator[Row], size: int, *, arriving: bool) -> Iterator[list[Row]]:
    """Yield rows in chunks: of the given size, or as many as have arrived where rows are streamed."""
    if arriving:
        yield from row_stream.as_they_come(rows, size)
        return
    yield from row_stream.in_chunks(rows, size)


def without_taken_columns(chunk: list[Row], written: Collection[str] = ()) -> list[Row]:
    """Refuse rows with a column that the output needs, anywhere in the file; return them otherwise.

    Args:
        chunk: The rows.
        written: Columns that the target writes.
    """
    names = {name for row in chunk for name in row.values}
    taken = sorted(name for name in names if name in (*ADDED, *written) or name.startswith("score: "))
    if taken:
        raise DataError(
            f"The input already has a column `{taken[0]}`, which the output needs.",
            "Rename it in the input.",
            id="data.column-taken",
        )
    return chunk


def assign_columns(
    source: str,
    first: Sequence[Row],
    inputs: Sequence[Column],
    named: Mapping[str, str],
    values: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, str]:
    """Assign columns to roles by the first rows.

    Args:
        source: The input.
        first: Its first rows.
        inputs: What the model reads.
        named: Role → column, of the training and of this call.
        values: Nested configuration values of this call; the columns that it names must be there.

    Raises:
        DataError: A column is missing.
    """
    names = list(dict.fromkeys(n for row in first for n in row.names if not (row.problem and n == row_formats.UNREAD)))
    roles = [column.role for column in inputs]
    likely = headers.likely_names(names, [[row.value(name) for name in names] for row in first])
    now = values.get("data", {}).get("columns", {})
    chosen = {role: name for role, name in named.items() if role in roles and (name in names or role in now)}
    try:
        return columns.find(names, inputs, chosen, likely=likely)
    except DataError as error:
        raise _other_kind(source, inputs) or error from None


def _other_kind(source: str, inputs: Sequence[Column]) -> DataError | None:
    """Return the error for texts given to a model of files, or files to a text model; None for neither."""
    of_files = next((column.kind.nouns[1] for column in inputs if column.kind.files is not None), None)
    folder = None if of_files else root_of(source)
    if folder is not None and folder.is_dir():
        tables = [file for file in files(folder) if file.suffix.lower() in row_stream.SUFFIXES]
        if 0 < len(tables) <= MOST_TABLES:
            listed = ", ".join(file.relative_to(folder).as_posix() for file in tables)
            return DataError(
                f"{source} contains {len(tables)} files, but predictions are written for one table: {listed}.",
                f"Give one of these with --input{'' if folder == Path(source) else ', unpacked'}.",
                id="source.ambiguous",
            )
        return DataError(
            f"{source} is a folder, but this model reads texts, not files.",
            "Give a file with one text per line, or a table with a column of texts.",
            id="data.wrong-kind",
        )
    if of_files and (source == row_stream.STANDARD_INPUT or Path(source).suffix.lower() in (".txt", ".po")):
        return DataError(
            f"{source} contains lines of text, but this model reads {of_files}.",
            f"Give a folder of {of_files}, or a table with a column of their paths.",
            id="data.wrong-kind",
        )
    return None


def root_of(source: str) -> Path | None:
    """Return where files that rows name are looked up; None for standard input."""
    if source == row_stream.STANDARD_INPUT:
        return None
    return row_stream.table_in(Path(source))


def vocabulary_warning(
    rows: Sequence[Row], inputs: Sequence[Column], roles: Mapping[str, str], stored: StoredModel
) -> str | None:
    """Warn where the model's vocabulary lacks much of these rows' texts."""
    names = [roles[column.role] for column in inputs if column.kind.plain is not None and column.role in roles]
    if not names:
        return None
    texts = [" ".join(str(row.value(name) or "") for name in names) for row in rows if row.problem is None]
    return vocabulary.unread(texts, stored.loaded.processor, translates=stored.recipe.generate is not None)


def sampled(rows: Iterator[Row], most: int, seed: int) -> tuple[list[tuple[int, Row]], int]:
    """Draw rows of a stream at random, in one pass.

    Each row gets a random key, and those with the lowest are kept.

    Args:
        rows: The stream.
        most: Rows to keep.
        seed: Of the draw.

    Returns:
        (position from 1, row) in the order of the stream, and how many rows it has.
    """
    generator = random.Random(seed)
    heap: list[tuple[float, int, Row]] = []
    total = 0
    for total, row in enumerate(rows, 1):
        entry = (-generator.random(), total, row)
        if len(heap) < most:
            heapq.heappush(heap, entry)
        elif entry[0] > heap[0][0]:
            heapq.heapreplace(heap, entry)
    return sorted(((position, row) for _, position, row in heap), key=lambda item: item[0]), total
