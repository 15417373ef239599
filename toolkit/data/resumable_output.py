"""An output written in parts, so that a kill costs one part: each is whole on disk before the next begins.

    .OUTPUT.parts/identity.json   identity of the work; parts of other work are discarded
    .OUTPUT.parts/000000.jsonl    rows as JSON lines, in their order

When all are there they become the output: JSON lines, CSV, Parquet, Arrow or an Excel workbook, by its name.
"""

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from toolkit import runs
from toolkit.config import normal_form
from toolkit.data.formats.spreadsheets import workbook_format, workbook_writer
from toolkit.data.sources.csv_dialect import Dialect
from toolkit.data.typed_columns import ARROW, PARQUET, TypedColumns, columns_of
from toolkit.errors import ConfigError, SourceError

_WORKBOOK = ".xlsx"
_CSV = (".csv", ".tsv", ".tab")
SUFFIXES = (*_CSV, ".jsonl", ".ndjson", PARQUET, *ARROW, _WORKBOOK)
Rows = Sequence[Mapping[str, Any]]


def check_output(output: Path, further: Sequence[str] = ()) -> None:
    """Refuse an existing output, or a format that cannot be written here.

    Args:
        output: The file.
        further: Formats that the caller writes itself.

    Raises:
        ConfigError: It is one of the two, or a package is missing.
    """
    if output.suffix.lower() not in (*SUFFIXES, *further):
        raise ConfigError(
            f"{output} has an unknown format.",
            f"Use a name that ends in {', '.join((*SUFFIXES, *further))}.",
            id="output.unknown-format",
        )
    if output.suffix.lower() == _WORKBOOK:
        workbook_format.library()
    if output.exists():
        raise ConfigError(f"{output} already exists.", "Remove it, or give another --output.", id="output.exists")


def folder_of(output: Path) -> Path:
    """Return where the parts of an output are."""
    return output.with_name(f".{output.name}.parts")


@dataclass(frozen=True)
class Kept:
    """The parts of an earlier, unfinished output.

    Attributes:
        parts: How many parts of the same work there are.
        thrown_away: How many rows of other work were discarded.
        differing: Keys of the identity in which the other work differs.
    """

    parts: int = 0
    thrown_away: int = 0
    differing: tuple[str, ...] = ()


def open_parts(output: Path, identity: Mapping[str, Any] | None) -> Kept:
    """Find the parts of the same work, and delete those of other work. None never equals another identity."""
    folder = folder_of(output)
    identity_file = folder / "identity.json"
    before = _identity(identity_file)
    if identity is not None and before == identity:
        return Kept(len(list(folder.glob("*.jsonl"))))
    lost = sum(_rows_in(part) for part in folder.glob("*.jsonl"))
    keys = dict.fromkeys([*(identity or {}), *before])
    differing = tuple(key for key in keys if before.get(key) != (identity or {}).get(key))
    shutil.rmtree(folder, ignore_errors=True)
    runs.write_json(identity_file, identity or {})
    return Kept(thrown_away=lost, differing=differing)


def _identity(file: Path) -> dict[str, Any]:
    try:
        return runs.read_object(file)
    except SourceError:
        return {}


def _rows_in(part: Path) -> int:
    with part.open("rb") as stream:
        return sum(1 for _ in stream)


def write_part(output: Path, number: int, rows: Rows) -> None:
    """Write one part, whole or not at all."""
    lines = [json.dumps(row, default=str) + "\n" for row in rows]
    runs.write_text(folder_of(output) / f"{number:06}.jsonl", "".join(lines))


def read_part(output: Path, number: int) -> list[dict[str, Any]]:
    """Read a part that was written before."""
    return _read(folder_of(output) / f"{number:06}.jsonl")


def finish(
    output: Path,
    count: int,
    write: Callable[[Path, Iterator[dict[str, Any]]], None] | None = None,
    source: Path | None = None,
    dialect: Dialect | None = None,
) -> list[str]:
    """Make the output of `count` parts, whole or not at all, and remove them; one part is in memory at a time.

    Args:
        output: The file.
        count: How many parts there are.
        write: (file, rows) writes a format that is not among `SUFFIXES`.
        source: What has the same rows; the columns of Parquet and Arrow keep their types and values in these formats.
        dialect: How CSV is written; when None by the name of the output.

    Returns:
        Notes on what the format cannot hold.
    """
    notes: list[str] = []
    folder = folder_of(output)
    parts = [folder / f"{number:06}.jsonl" for number in range(count)]
    suffix = output.suffix.lower()
    with runs.aside(output) as draft:
        if write is not None:
            write(draft, (row for part in parts for row in _read(part)))
        elif suffix in (PARQUET, *ARROW):
            typed = TypedColumns() if source is None else columns_of(source, suffix)
            _write_arrow(draft, parts, typed, parquet=suffix == PARQUET)
        elif suffix == _WORKBOOK:
            names = _names(parts)
            rows = ([_cell(row.get(name)) for name in names] for part in parts for row in _read(part))
            notes += workbook_writer.write(draft, names, rows)
        elif suffix in _CSV:
            notes += _write_csv(draft, parts, dialect or Dialect(delimiter="," if suffix == ".csv" else "\t"))
        else:
            # a lone surrogate stays an escape
            with draft.open("w", encoding="utf-8", errors="backslashreplace") as stream:
                for part in parts:
                    stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in _read(part))
    shutil.rmtree(folder, ignore_errors=True)
    return notes


def _read(part: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in part.read_text(encoding="utf-8").split("\n") if line]


def _names(parts: Sequence[Path]) -> list[str]:
    """Return all columns in the order of their first occurrence; those of predictions are last."""
    names: dict[str, None] = {}
    last: dict[str, None] = {}
    for part in parts:
        for row in _read(part):
            keys = list(row)
            cut = keys.index("prediction")
            names.update(dict.fromkeys(keys[:cut]))
            last.update(dict.fromkeys(keys[cut:]))
    return [*names, *last]


def _write_csv(draft: Path, parts: Sequence[Path], dialect: Dialect) -> list[str]:
    try:
        _write_rows(draft, parts, dialect)
    except UnicodeEncodeError:  # with a mark, by which a reader knows the encoding
        _write_rows(draft, parts, replace(dialect, encoding="utf-8", mark=True))
        return [f"Written as UTF-8: {dialect.encoding}, the encoding of the input, lacks characters of the output."]
    return []


def _write_rows(draft: Path, parts: Sequence[Path], dialect: Dialect) -> None:
    errors = "replace" if dialect.encoding.startswith("utf-") else "strict"  # UTF lacks nothing but lone surrogates
    with draft.open("w", encoding=dialect.encoding, newline="", errors=errors) as stream:
        stream.write("\ufeff" if dialect.mark else "")
        stream.write(f"sep={dialect.delimiter}{dialect.line_end}" if dialect.declared else "")
        writer = csv.writer(_Rows(stream, dialect.line_end), delimiter=dialect.delimiter, lineterminator="\r\n")
        names = _names(parts)
        writer.writerow(names)
        for part in parts:
            writer.writerows([_cell(row.get(name)) for name in names] for row in _read(part))


class _Rows:
    """Ends rows; the csv module quotes a carriage return only where it writes one at row ends."""

    def __init__(self, stream: TextIO, end: str) -> None:
        self._stream = stream
        self._end = end

    def write(self, row: str) -> int:
        """Write one row."""
        return self._stream.write(row.removesuffix("\r\n") + self._end)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else value


def _write_arrow(draft: Path, parts: Sequence[Path], typed: TypedColumns, *, parquet: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = _kinds(parts)
    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), list: pa.list_(pa.string()), str: pa.string()}
    taken = {normal_form.normal(name) for name in typed.schema.names}
    names = [name for name in _names(parts) if normal_form.normal(name) not in taken]
    added = [pa.field(name, types[kinds[name]]) for name in names]
    schema = pa.schema([*typed.schema, *added], typed.schema.metadata)
    take = typed.reader()
    with (
        draft.open("wb") as stream,
        pq.ParquetWriter(stream, schema) if parquet else pa.ipc.new_file(stream, schema) as writer,
    ):
        for part in parts:
            rows = _read(part)
            columns = [
                pa.array([_as_kind(row.get(field.name), kinds[field.name]) for row in rows], field.type)
                for field in added
            ]
            writer.write_table(pa.Table.from_arrays([*take(len(rows)).columns, *columns], schema=schema))


def _kinds(parts: Sequence[Path]) -> dict[str, type]:
    """Return the type that each column is written as: truth values, numbers, lists of texts; otherwise text."""
    types: dict[str, set[type]] = {}
    for part in parts:
        for row in _read(part):
            for name, value in row.items():
                types.setdefault(name, set()).update([_kind(value)] if value is not None else [])
    return {
        name: next(iter(kinds)) if len(kinds) == 1 else float if kinds == {int, float} else str
        for name, kinds in types.items()
    }


def _kind(value: Any) -> type:
    if isinstance(value, list):
        return list if all(isinstance(item, str) for item in value) else str
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str
    return type(value) if isinstance(value, bool | int | float) else str


def _as_kind(value: Any, kind: type) -> Any:
    if value is None or kind in (bool, int):
        return value
    if kind is float:
        return float(value)
    return [_as_text(item) for item in value] if kind is list else _as_text(value)


def _as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode("utf-8")  # Arrow refuses a lone surrogate
