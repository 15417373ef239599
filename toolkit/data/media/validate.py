"""Validate every file of a data set before training, and leave out what cannot be decoded."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from toolkit import sources
from toolkit.config.settings import DataConfig
from toolkit.data.media import columns as media_columns
from toolkit.data.media.columns import Medium
from toolkit.data.sources.zip_archives import unpacked
from toolkit.data.tables import columns as columns_
from toolkit.errors import DataError
from toolkit.tasks.task import Checked, Column

SHOWN = 5  # unreadable files that a note names


def validate(parts: Mapping[str, pa.Table], column: Column, config: DataConfig, medium: Medium) -> Checked:
    """Decode every file once, and leave out what cannot be decoded, which would otherwise end a run hours later.

    Args:
        parts: Part → rows in the recipe's roles.
        column: The files'.
        config: Where the data is, and how large a file may be.
        medium: What the files are.

    Raises:
        DataError: Most of them cannot be decoded.
    """
    root = sources.local_path(sources.parse(config.source))
    root = root if root is None else unpacked(root)
    kept, total = {}, sum(rows.num_rows for rows in parts.values())
    unreadable: list[dict[str, Any]] = []
    for part, rows in parts.items():
        if column.role not in rows.column_names:
            kept[part] = rows
            continue
        raw = media_columns.column(rows[column.role], rows["_file"].to_pylist(), root, medium)
        validated, problems = media_columns.inspected(raw, medium, config)
        rows = rows.set_column(rows.column_names.index(column.role), column.role, validated)
        bad = [number for number, problem in enumerate(problems) if problem is not None]
        kept[part] = rows.filter(pa.array([problem is None for problem in problems], pa.bool_()))
        for place, number in zip(
            rows.select(["_file", "_row"]).take(pa.array(bad, pa.int64())).to_pylist(), bad, strict=True
        ):
            name = media_columns.name(raw[number].as_py() or {}) if raw[number]["path"].is_valid else ""
            entry = {"file": place["_file"], "row": place["_row"], "name": name, "reason": problems[number]}
            unreadable.append(entry)
    if not unreadable:
        return Checked(kept)
    shown = "; ".join(_described(file) for file in unreadable[:SHOWN])
    more = f"; and {len(unreadable) - SHOWN:,} more" if len(unreadable) > SHOWN else ""
    summary = f"{len(unreadable):,} of {total:,} {medium.nouns[1]}"
    if len(unreadable) > total / 2:
        large = sum(medium.limit in file["reason"] for file in unreadable) > len(unreadable) / 2
        advice = (
            f"Check that the files are at the paths in the table. {columns_.flag(column.role)} selects another column."
        )
        raise DataError(
            f"{summary} cannot be read: {shown}{more}.",
            f"Raise {medium.limit}." if large else advice,
            id="media.unreadable",
        )
    note = f"{summary} could not be read and were left out: {shown}{more}."
    return Checked(kept, {"unreadable": len(unreadable)}, [note], unreadable)


def _described(file: Mapping[str, Any]) -> str:
    """Describe an unreadable file: its name, if it differs from the file, and the reason."""
    named = str(file["file"]).endswith(file["name"]) and file["name"]
    place = (
        file["file"] if named else f"{file['file']}, row {file['row']}{', ' + file['name'] if file['name'] else ''},"
    )
    return f"{place} {file['reason']}"
