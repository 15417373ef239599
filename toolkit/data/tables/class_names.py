"""Names of classes for numeric labels, from the data themselves.

They are in the description that the `datasets` library writes into the schema of a Parquet or Arrow file (the feature
ClassLabel), or in a second column: `label_text` or `label_name` for `label`.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config import normal_form
from toolkit.errors import DataError

_DESCRIPTION = b"huggingface"  # key of the schema's metadata
_SAVED = "dataset_info.json"  # written by `save_to_disk`
_ORDER = b"classes"  # key of a field's metadata: the names in the order of their numbers
_BESIDE = re.compile(r"(.+)[ _-](text|names?)", re.IGNORECASE)
_FEW = 50  # names; a column with more has other texts
_NUMBER = r"^-?\d+(\.0+)?$"


def in_schema(schema: pa.Schema, folder: Path | None = None) -> dict[str, list[str]]:
    """Return the names of classes in a file's schema: column → names in the order of their numbers.

    Args:
        schema: Of the file.
        folder: Its folder; a data set that was saved to disk has its description in a file there.
    """
    try:
        return of_features(json.loads((schema.metadata or {})[_DESCRIPTION])["info"]["features"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        pass
    try:
        return of_features(json.loads((folder / _SAVED).read_text(encoding="utf-8"))["features"]) if folder else {}
    except (OSError, KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return {}


def of_features(features: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the names of classes in the features of a data set, as `datasets` writes them."""
    names_by_column = {name: _names(feature) for name, feature in features.items()}
    return {name: names for name, names in names_by_column.items() if names}


def _names(feature: Any) -> list[str] | None:
    """Return the names of a feature that is a class, or a list of classes."""
    if isinstance(feature, list) and len(feature) == 1:
        return _names(feature[0])
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") != "ClassLabel":
        return _names(feature["feature"]) if isinstance(feature.get("feature"), dict) else None
    names = feature.get("names")
    return [str(name) for name in names] if isinstance(names, list) else None


def named(table: pa.Table, names: Mapping[str, Sequence[str]], where: str) -> pa.Table:
    """Return a table with names instead of class numbers; -1, which means no label, becomes null.

    Args:
        table: As it was read.
        names: Column → names of its classes in the order of their numbers.
        where: Name of the table in messages.

    Raises:
        DataError: A number has no name.
    """
    for column, listed in names.items():
        if column not in table.column_names:
            continue
        values = table[column]
        nested = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
        if not pa.types.is_integer(values.type.value_type if nested else values.type):
            continue

        def name(number: int | None, column: str = column, listed: Sequence[str] = listed) -> str | None:
            if number is None or number < 0:
                return None
            if number >= len(listed):
                raise DataError(
                    f"{where}: `{column}` holds the class {number}, but the file names {len(listed)} classes, from 0: "
                    f"{', '.join(listed[:12])}.",
                    "Write the file again with a name for each class.",
                    id="label.unnamed-class",
                )
            return listed[number]

        kind = pa.list_(pa.string()) if nested else pa.string()
        rows = [[name(number) for number in row] if isinstance(row, list) else name(row) for row in values.to_pylist()]
        field = pa.field(column, kind, metadata={_ORDER: json.dumps(list(listed)).encode()})
        place = table.column_names.index(column)
        table = table.set_column(place, field, pa.chunked_array([pa.array(rows, kind)]))
    return table


def order(table: pa.Table, column: str) -> list[str]:
    """Return the names of a column's classes in the order of their numbers; empty where it is not known."""
    noted = (table.schema.field(column).metadata or {}).get(_ORDER)
    return [normal_form.label(name) for name in json.loads(noted)] if noted else []


def describing(names: Sequence[str], labels: Collection[str]) -> list[str]:
    """Return the columns that may name the classes in a column of labels.

    Args:
        names: The table's columns.
        labels: Names of columns of labels, in lower case.
    """
    wanted = {name.strip().lower() for name in names} & set(labels)
    matches = {name: _BESIDE.fullmatch(name.strip()) for name in names}
    return [name for name, match in matches.items() if match and match[1].lower() in wanted]


def beside(table: pa.Table, column: str) -> tuple[str, list[str]] | None:
    """Return the column that names the classes of a column of numbers, and the names in the order of the numbers.

    Args:
        table: As it was read.
        column: Of the labels.

    Returns:
        None where the labels are no numbers, or no column has one name for each of them.
    """
    candidates = describing(table.column_names, [column.strip().lower()])
    numbers = _whole_numbers(table[column]) if candidates else None
    if numbers is None:
        return None
    for name in candidates:
        if pa.types.is_string(table[name].type):
            texts = pc.utf8_trim_whitespace(table[name])
            pairs = pa.table({"number": numbers, "name": texts}).group_by(["number", "name"]).aggregate([])
            seen = sorted((row["number"], row["name"]) for row in pairs.to_pylist() if None not in row.values())
            if seen and len({number for number, _ in seen}) == len({text for _, text in seen}) == len(seen):
                return name, [normal_form.label(text) for _, text in seen]
    return None


def contradicting(table: pa.Table, column: str) -> str | None:
    """Return a sentence where a column seems to name the classes, but does not have one name for each number."""
    candidates = describing(table.column_names, [column.strip().lower()])
    if _whole_numbers(table[column]) is None or beside(table, column) is not None:
        return None
    for name in candidates:
        pairs = Counter(zip(map(str, table[column].to_pylist()), map(str, table[name].to_pylist()), strict=True))
        names = {code: [text for number, text in pairs if number == code] for code, _ in pairs}
        code = next((number for number in names if len(names[number]) > 1), None)
        if code is not None and len({text for _, text in pairs}) <= _FEW:
            return (
                f"`{name}` does not give the names of `{column}`: {code} has the names {', '.join(names[code][:5])}. "
                "It is not used."
            )
    return None


def _whole_numbers(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return labels as numbers; None where they are none."""
    if pa.types.is_string(values.type):
        values = pc.utf8_trim_whitespace(values)
        if not pc.all(pc.match_substring_regex(values, _NUMBER)).as_py():
            return None
    elif not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        return None
    return values.cast(pa.float64())
