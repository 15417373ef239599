"""Rows in memory as data: they are written to a Parquet file that later commands can read.

    runs/tables/3f1c….parquet                     a DataFrame, an Arrow table or a Dataset
    runs/tables/9a0b…/train.parquet, test.parquet a DatasetDict

A file is named by its contents, so that the same rows are the same data to a run that is resumed, and are written once.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from toolkit import runs
from toolkit.data.tables.digest import table_digest
from toolkit.errors import DataError

FOLDER = runs.HOME / "tables"


def stored(data: Any) -> str | None:
    """Return the name of data as the command line takes it; rows in memory are written to `FOLDER` first.

    Args:
        data: Name or path; or a pandas DataFrame, an Arrow table, a Dataset or a DatasetDict.

    Raises:
        DataError: It is none of these, or the rows cannot be held in a Parquet file.
    """
    if data is None or isinstance(data, str | Path):
        return None if data is None else str(data)
    if isinstance(data, Mapping):
        tables = {str(part): _table(rows) for part, rows in data.items()}
        folder = FOLDER / _digest(tables)
        for part, table in tables.items():
            _write(folder / f"{part}.parquet", table)
        return str(folder)
    table = _table(data)
    path = FOLDER / f"{_digest({'': table})}.parquet"
    _write(path, table)
    return str(path)


def _table(rows: Any) -> pa.Table:
    """Return rows as an Arrow table; the index of a DataFrame is dropped."""
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, _type("pandas", "DataFrame")):
        try:
            return pa.Table.from_pandas(rows.rename(columns=str), preserve_index=False).replace_schema_metadata(None)
        except (pa.ArrowException, ValueError, TypeError) as error:
            raise DataError(
                f"The DataFrame cannot be written as a table: {error}.",
                "Give each column values of one type.",
                id="data.mixed-types",
            ) from error
    if isinstance(rows, _type("datasets", "Dataset")):
        whole = rows.with_format("arrow")[:]
        described = rows.features.arrow_schema.metadata  # the names of classes
        return whole.replace_schema_metadata(described)
    raise DataError(
        f"Data of the type {type(rows).__name__} cannot be read.",
        "Give a path or a name, a pandas DataFrame, a pyarrow Table, or a Dataset or DatasetDict of `datasets`.",
        id="data.wrong-kind",
    )


def _type(module: str, name: str) -> Any:
    """Return a class of a library that is imported already, or nothing that any value is an instance of."""
    return getattr(sys.modules.get(module), name, ())


def _digest(tables: Mapping[str, pa.Table]) -> str:
    """Return a digest of the rows: equal rows of equal types in the same parts give the same digest."""
    content = [[part, str(table.schema), table_digest(table, table.column_names)] for part, table in tables.items()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _write(path: Path, table: pa.Table) -> None:
    if not path.is_file():
        runs.check_writable(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        runs.write_table(path, table)
