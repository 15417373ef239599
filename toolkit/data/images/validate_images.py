"""Validate every picture of a data set before training, and leave out what cannot be decoded."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from toolkit import sources
from toolkit.config.settings import DataConfig
from toolkit.data.images import image_columns
from toolkit.data.sources.zip_archives import unpacked
from toolkit.data.tables import columns as columns_
from toolkit.errors import DataError
from toolkit.tasks.task import Checked, Column

SHOWN = 5  # unreadable pictures that a note names


def validate_images(parts: Mapping[str, pa.Table], column: Column, config: DataConfig) -> Checked:
    """Decode every picture once, and leave out what cannot be decoded, which would otherwise end a run hours later.

    Args:
        parts: Part → rows in the recipe's roles.
        column: The pictures'.
        config: Where the data is, and how many pixels a picture may have.

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
        raw = image_columns.column(rows[column.role], rows["_file"].to_pylist(), root)
        validated, problems = image_columns.inspected(raw, config.max_pixels)
        rows = rows.set_column(rows.column_names.index(column.role), column.role, validated)
        bad = [number for number, problem in enumerate(problems) if problem is not None]
        kept[part] = rows.filter(pa.array([problem is None for problem in problems], pa.bool_()))
        for place, number in zip(
            rows.select(["_file", "_row"]).take(pa.array(bad, pa.int64())).to_pylist(), bad, strict=True
        ):
            name = image_columns.name(raw[number].as_py() or {}) if raw[number]["path"].is_valid else ""
            entry = {"file": place["_file"], "row": place["_row"], "name": name, "reason": problems[number]}
            unreadable.append(entry)
    if not unreadable:
        return Checked(kept)
    shown = "; ".join(_described(picture) for picture in unreadable[:SHOWN])
    more = f"; and {len(unreadable) - SHOWN:,} more" if len(unreadable) > SHOWN else ""
    summary = f"{len(unreadable):,} of {total:,} pictures"
    if len(unreadable) > total / 2:
        large = sum("data.max_pixels" in picture["reason"] for picture in unreadable) > len(unreadable) / 2
        advice = (
            f"Check that the files are at the paths in the table. {columns_.flag(column.role)} selects another column."
        )
        raise DataError(
            f"{summary} cannot be read: {shown}{more}.",
            "Raise data.max_pixels." if large else advice,
            id="image.unreadable",
        )
    note = f"{summary} could not be read and were left out: {shown}{more}."
    return Checked(kept, {"unreadable": len(unreadable)}, [note], unreadable)


def _described(picture: Mapping[str, Any]) -> str:
    """Describe an unreadable picture: its name, if it differs from the file, and the reason."""
    named = str(picture["file"]).endswith(picture["name"]) and picture["name"]
    place = (
        picture["file"]
        if named
        else f"{picture['file']}, row {picture['row']}{', ' + picture['name'] if picture['name'] else ''},"
    )
    return f"{place} {picture['reason']}"
