"""Rows that one SELECT returns from a database file, which is opened for reading alone.

    reviews.sqlite, .sqlite3, .db      SQLite, of Python's standard library
    reviews.duckdb                     DuckDB, with the package duckdb

A query can only read the tables of its file: no other file, no setting and no extension. One that returns no further
rows within `SECONDS` is ended.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.data.formats.csv_files import MAX_FIELD, clean_names
from toolkit.data.formats.text_decoding import most_unpacked, too_large
from toolkit.errors import ConfigError, DataError

_DUCKDB = ".duckdb"
SUFFIXES = (".sqlite", ".sqlite3", ".db", _DUCKDB)
SECONDS = 600.0  # time limit for the next rows of a query
_BATCH_ROWS = 4096
_INSTRUCTIONS = 100_000  # of SQLite between two looks at the time
_READING = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE)
_FORBIDDEN = ("load_extension", "fts3_tokenizer")  # functions that run code or change the process
_CLOSED = {"enable_external_access": "false", "autoload_known_extensions": "false", "lock_configuration": "true"}


def read(path: Path, query: str | None) -> pa.Table:
    """Return the rows of a query as one table.

    Args:
        path: The database.
        query: One SELECT; all rows of its only table when None.

    Raises:
        DataError: The file, or the query, cannot be read, or the rows are far larger than the file.
    """
    size, most, pieces = 0, most_unpacked(path), []
    for batch in batches(path, query):
        size += batch.nbytes
        if size > most:
            raise too_large(path)
        pieces.append(batch)
    if not pieces:
        return pa.table({})
    columns = [
        _joined(path, name, [piece.column(place) for piece in pieces])
        for place, name in enumerate(pieces[0].schema.names)
    ]
    return pa.table(columns, names=clean_names(pieces[0].schema.names, str(path)))


def batches(path: Path, query: str | None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a query in batches; the type of a column may differ between them.

    Args:
        path: The database.
        query: One SELECT; all rows of its only table when None.

    Raises:
        DataError: The file, or the query, cannot be read.
    """
    yield from (_duckdb if path.suffix.lower() == _DUCKDB else _sqlite)(path, query)


def check_query(path: Path, query: str | None) -> None:
    """Refuse a query for a file that is no database.

    Raises:
        DataError: It is none.
    """
    if query is not None and path.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"data.query is for databases ({', '.join(SUFFIXES)}), and {path.name} is none.",
            "Remove data.query; --set data.where.COLUMN=VALUE keeps the rows with a value.",
            id="data.query-refused",
        )


def _joined(path: Path, name: str, pieces: Sequence[pa.Array]) -> pa.ChunkedArray:
    """Join the values of a column; numbers and texts together become texts."""
    types = {piece.type for piece in pieces if not pa.types.is_null(piece.type)}
    if any(pa.types.is_binary(kind) for kind in types):
        raise DataError(
            f"{path}: the column `{name}` holds binary data.", "Leave it out of data.query.", id="data.not-text"
        )
    if len(types) < 2:
        target = next(iter(types), pa.string())
    else:
        target = pa.float64() if types == {pa.int64(), pa.float64()} else pa.string()
    return pa.chunked_array([pc.cast(piece, target) for piece in pieces], target)


def _only_table(path: Path, tables: Sequence[str]) -> str:
    """Return the query of all rows of the only table."""
    if len(tables) == 1:
        name = tables[0].replace('"', '""')
        return f'SELECT * FROM "{name}"'
    listed = ", ".join(tables[:12]) or "none"
    raise DataError(
        f"{path} has {len(tables)} tables: {listed}.",
        "Give a query: --set data.query='SELECT text, label FROM reviews'.",
        id="source.ambiguous",
    )


def _refused(path: Path, reason: object) -> DataError:
    return DataError(
        f"{path}: the query was refused: {' '.join(str(reason).split())[:300]}.",
        "data.query is one SELECT that reads the tables of this file and does nothing else.",
        id="data.query-refused",
    )


def _too_slow(path: Path) -> DataError:
    return DataError(
        f"{path}: the query returned no further rows within {SECONDS:g} seconds, and was ended.",
        "Check that it ends; store its result in a table of the database, and read that.",
        id="data.query-too-slow",
    )


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} cannot be read as a database: {' '.join(str(error).split())[:300]}.",
        "Check the file, and that no other program is writing to it.",
        id="data.damaged-file",
    )


# --- SQLite ---------------------------------------------------------------------------------------------------------


def _sqlite(path: Path, query: str | None) -> Iterator[pa.RecordBatch]:
    try:
        database = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise _damaged(path, error) from None
    with closing(database):
        try:
            database.execute("PRAGMA trusted_schema = OFF")  # views of the file call no function with side effects
            tables = database.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
            ).fetchall()
        except sqlite3.Error as error:
            raise _damaged(path, error) from None
        text = query if query is not None else _only_table(path, [name for (name,) in tables])
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4 * MAX_FIELD)
        database.set_authorizer(_reads_only)
        begun = time.monotonic()
        database.set_progress_handler(lambda: time.monotonic() > begun + SECONDS, _INSTRUCTIONS)
        try:
            cursor = database.execute(text)
            names = [name for name, *_ in cursor.description or ()]
            while rows := cursor.fetchmany(_BATCH_ROWS):
                yield pa.RecordBatch.from_arrays([_array(values) for values in zip(*rows, strict=True)], names=names)
                begun = time.monotonic()
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:  # several statements, a NUL in the query
            raise _too_slow(path) if str(error) == "interrupted" else _refused(path, error) from None


def _reads_only(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Permit what a SELECT does."""
    function = action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _FORBIDDEN
    return sqlite3.SQLITE_OK if action in _READING or function else sqlite3.SQLITE_DENY


def _array(values: Sequence[Any]) -> pa.Array:
    """Return values as one type: SQLite's columns may mix them."""
    types = {type(value) for value in values} - {type(None)}
    if types == {int, float}:
        return pa.array(values, pa.float64())
    if bytes in types:
        return pa.array([value if isinstance(value, bytes) else None for value in values], pa.binary())
    if len(types) > 1:
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values)


# --- DuckDB ---------------------------------------------------------------------------------------------------------


def _duckdb(path: Path, query: str | None) -> Iterator[pa.RecordBatch]:
    try:
        import duckdb
    except ImportError:
        raise ConfigError(
            "DuckDB files need the package duckdb.", "pip install 'finetune-toolkit[sql]'", id="machine.package-missing"
        ) from None
    try:
        database = duckdb.connect(str(path), read_only=True, config=_CLOSED)
    except duckdb.Error as error:
        raise _damaged(path, error) from None
    with closing(database):
        tables = database.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
        text = query if query is not None else _only_table(path, [name for (name,) in tables])
        with _duckdb_errors(path, duckdb):
            statements = database.extract_statements(text)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise _refused(path, "it is not one SELECT")
            with _ended_in_time(database):
                reader = iter(database.sql(text).to_arrow_reader(_BATCH_ROWS))
        while True:
            with _duckdb_errors(path, duckdb), _ended_in_time(database):
                batch = next(reader, None)
            if batch is None:
                return
            yield batch


@contextmanager
def _duckdb_errors(path: Path, duckdb: Any) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        raise _too_slow(path) if "interrupt" in str(error).lower() else _refused(path, error) from None


@contextmanager
def _ended_in_time(database: Any) -> Iterator[None]:
    """End what the database does in the block once its time is over."""
    timer = threading.Timer(SECONDS, database.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def rows(path: Path, query: str | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a query one by one, as `batches`."""
    for values in chain.from_iterable(batch.to_pylist() for batch in batches(path, query)):
        yield {name: None if isinstance(value, bytes) else value for name, value in values.items()}
